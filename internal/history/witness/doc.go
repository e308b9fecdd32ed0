// Package witness tells a history what workers and producers do: it stands
// between them and what they are given, and changes nothing.
//
//	h := history.New()
//	c, err := consumer.New(witness.Worker(h, cfg))
//	p := witness.Producer{To: to, History: h, Name: "producer-1", Ordered: true}
//	…
//	stream, err := witness.Stream(ctx, client, "orders")
//	h.Stream(stream)
//	verdict := h.Check(history.Options{})
package witness
