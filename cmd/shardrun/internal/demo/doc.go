// Package demo is the main job of shardrun on real data: flights are put into
// a stream while workers count them by airport, the stream is split and merged,
// and workers join, die and drain. It ends with an audit of what happened.
package demo
