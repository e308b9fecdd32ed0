package redis_test

import (
	"flag"
	"os"
	"testing"
)

// atATime is how many tests run together where -parallel does not say it. They
// wait for servers, and for leases to lapse, far more than they compute.
const atATime = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atATime); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
