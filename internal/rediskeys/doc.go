// Package rediskeys is how a group's leases and positions lie in Redis: the
// names of the keys, the texts in them, the Lua scripts that are the only
// writers, and the connections that they are called over.
package rediskeys
