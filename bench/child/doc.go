// Package child runs the parts of a benchmark that need a process of their
// own: this program, started again in a role. What the child has to say comes
// as one JSON object a line on its standard output; the first line says that
// it is ready.
package child
