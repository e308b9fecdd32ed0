package state

import (
	"fmt"
	"strconv"
	"strings"
)

// maxShard is the greatest number of a shard, as AWS has it.
const maxShard = 1<<31 - 1

// ShardID is the id of a shard by its number: "shardId-000000000007".
func ShardID(shard uint32) string { return fmt.Sprintf("shardId-%012d", shard) }

// ParseShardID reads a shard id as AWS does: a decimal number up to 2^31−1
// after the first hyphen, or with no hyphen at all. So "shardId-000000000007",
// "shardId-7", "x-7" and "7" name the same shard.
func ParseShardID(id string) (shard uint32, ok bool) {
	digits := id
	if parts := strings.SplitN(id, "-", 3); len(parts) > 1 && parts[1] != "" {
		digits = parts[1]
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return uint32(n), err == nil
}
