// Package producer has the rows that measure the producer and the codec of
// KPL aggregates.
package producer
