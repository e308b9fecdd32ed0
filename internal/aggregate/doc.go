// Package aggregate packs user records into one Kinesis record and unpacks
// them again, in the format of the Kinesis Producer Library (KPL):
//
//	F3 89 9A C2 ‖ protobuf ‖ MD5(protobuf)
//
// The protobuf message (proto2) is
//
//	message AggregatedRecord {
//	  repeated string partition_key_table     = 1;
//	  repeated string explicit_hash_key_table = 2; // decimal
//	  repeated Record records                 = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index     = 1; // written even when 0
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes  data                    = 3;
//	  repeated Tag    tags                    = 4;
//	}
//	message Tag {
//	  required string key   = 1;
//	  optional string value = 2;
//	}
//
// It is read and written by hand: generated code would register messages.proto
// in a table of the whole process, where two libraries that do so panic at
// start, and it copies every record. Format:
// https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
package aggregate
