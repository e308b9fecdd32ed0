package main

func Example() {
	main()
	// Output:
	// shardId-000000000000: hello 0
	// shardId-000000000000: hello 1
	// shardId-000000000000: hello 2
	// shardId-000000000000: hello 3
	// shardId-000000000000: hello 4
	// shardId-000000000000: hello 5
	// shardId-000000000000: hello 6
	// shardId-000000000000: hello 7
	// shardId-000000000000: hello 8
	// shardId-000000000000: hello 9
}
