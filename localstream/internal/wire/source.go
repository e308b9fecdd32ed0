package wire

import "time"

// source is a body that is read value by value, in one of the encodings. Each
// method leaves it in front of the next value, or fails: with a
// *SerializationError for a value of a wrong type, with any other error for a
// body that is not of the encoding at all.
//
// Objects and lists are entered and then asked for what they have, so that
// nothing needs to be allocated to read them.
type source interface {
	// null reads a null if there is one.
	null() bool
	// object enters an object, and reports false for a null, which has no
	// members. The target is what is expected: toStructure or toMap.
	object(target string) (bool, error)
	// member reads the name of the next member that is not null. At the end it
	// reports false and leaves the object. The name may point into the body.
	member() (name []byte, ok bool, err error)
	// list enters a list.
	list() error
	// element reports whether the list has another element. At the end it
	// leaves the list.
	element() (bool, error)

	text() (string, error)
	boolean() (bool, error)
	// integer rounds fractions down and clamps what is out of range. The target
	// is what is expected: toInteger or toLong.
	integer(target string, least, most int64) (int64, error)
	timestamp() (time.Time, error)
	// blob reads bytes, never nil. They point into the buffers of the request.
	blob() ([]byte, error)

	// skip reads any value and forgets it.
	skip() error
	// end checks that nothing is left.
	end() error
}
