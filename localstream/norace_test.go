//go:build !race

package localstream

const programsDefault = 20
