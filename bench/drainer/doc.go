// Package drainer is the process of a contestant that drains a stream: it
// counts and times, and the contestant reads and handles.
package drainer
