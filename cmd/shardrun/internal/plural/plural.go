// Package plural puts numbers of things into words.
package plural

import "fmt"

// Of is a number of things in words: "1 record", "2 records".
func Of[N int | int32 | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
