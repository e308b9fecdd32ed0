package redisurl_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/redistest"
	"github.com/shardrun/shardrun/internal/redisurl"
)

func parse(t *testing.T, address string) *redisurl.Address {
	t.Helper()
	a, err := redisurl.Parse(address)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return a
}

func TestOneServer(t *testing.T) {
	t.Setenv(redisurl.PasswordEnv, "from the environment")
	for address, want := range map[string]redis.Options{
		"redis:6379":                            {Addr: "redis:6379"},
		"[::1]:6379":                            {Addr: "[::1]:6379"},
		"redis://redis":                         {Addr: "redis:6379"},
		"redis://[::1]/2":                       {Addr: "[::1]:6379", DB: 2},
		"redis://ann:p%40ss%3A@redis:1/3":       {Addr: "redis:1", Username: "ann", Password: "p@ss:", DB: 3},
		"redis://:secret@redis":                 {Addr: "redis:6379", Password: "secret"},
		"redis://ann@redis":                     {Addr: "redis:6379", Username: "ann", Password: "from the environment"},
		"redis://ann:a@b@redis":                 {Addr: "redis:6379", Username: "ann", Password: "a@b"},
		"unix://ann:secret@/var/run/redis.sock": {Network: "unix", Addr: "/var/run/redis.sock", Username: "ann", Password: "secret"},
		"rediss://redis.example.com:6380":       {Addr: "redis.example.com:6380"},
	} {
		c, ok := parse(t, address).Client().(*redis.Client)
		if !ok {
			t.Errorf("%s: not a client of one server", address)
			continue
		}
		got := c.Options()
		_ = c.Close() // it never dialed
		if got.Addr != want.Addr || got.Username != want.Username || got.Password != want.Password || got.DB != want.DB ||
			want.Network != "" && got.Network != want.Network || strings.HasPrefix(address, "rediss") != (got.TLSConfig != nil) {
			t.Errorf("%s is %s %s %q:%q/%d", address, got.Network, got.Addr, got.Username, got.Password, got.DB)
		}
		if got.TLSConfig != nil && got.TLSConfig.InsecureSkipVerify {
			t.Errorf("%s verifies nothing", address)
		}
	}
}

func TestACluster(t *testing.T) {
	c, ok := parse(t, "rediss+cluster://ann:secret@a,b:7000").Client().(*redis.ClusterClient)
	if !ok {
		t.Fatal("not a client of a cluster")
	}
	defer func() { _ = c.Close() }() // it never dialed
	if o := c.Options(); !slices.Equal(o.Addrs, []string{"a:6379", "b:7000"}) || o.Username != "ann" || o.Password != "secret" || o.TLSConfig == nil {
		t.Errorf("%v %s %s", o.Addrs, o.Username, o.Password)
	}
}

func TestRealServersAnswer(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, false)
	plain := redistest.Start(t, "--requirepass", "secret")
	cluster := redistest.StartCluster(t, false)
	for _, address := range []string{
		"redis+sentinel://" + strings.Join(s.Addrs, ",") + "/1?master=" + redistest.MasterName,
		"redis://default:secret@" + plain.Addr,
		"redis+cluster://" + strings.Join(cluster.Addrs(), ","),
	} {
		c := parse(t, address).Client()
		if err := c.Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		_ = c.Close() // it was only for this
	}
}

func TestFilesOfTLS(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	p := ca.StartTLS()
	cert, key := ca.Issue("person")
	c := parse(t, "rediss://"+p.Addr+"?ca="+ca.File+"&cert="+cert+"&key="+key).Client()
	defer func() { _ = c.Close() }() // the test is over
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"redis":                                        "neither host:port nor a URL: want host:port, redis://",
		"ann:secret@redis:6379":                        "is a URL: want host:port, redis://",
		"http://ann:secret@redis":                      `scheme "http" is unknown: want host:port, redis://`,
		"unix+cluster:///x":                            `scheme "unix+cluster" is unknown`,
		"unix://":                                      "the path of the socket is missing",
		"redis://ann:secret%@redis":                    "write %25",
		"redis://ann:my?secret@redis":                  "it is written %3F",
		"redis://":                                     "a host is missing",
		"redis://:6379":                                "a host is missing",
		"redis+cluster://a,,b":                         "a host is missing",
		"redis://a:1:2":                                `host "a:1:2"`,
		"redis://a,b":                                  "want redis+sentinel:// or redis+cluster://",
		"redis://a/x":                                  `database "x" is not a number`,
		"redis+cluster://a/1":                          "a cluster has only 0",
		"redis://a?db=secret":                          `option "db" is unknown: this URL takes none; want host:port`,
		"redis://a?ca=x":                               `option "ca" is unknown`,
		"rediss://a?skip_verify=true":                  `option "skip_verify" is unknown: this URL takes ca, cert, key`,
		"rediss://a?ca=/does/not/exist":                "option ca: open /does/not/exist",
		"rediss://a?ca=" + empty:                       "no certificate in PEM",
		"rediss://a?cert=x":                            "cert and key go together",
		"rediss://a?cert=/none&key=/none":              "options cert and key: open /none",
		"redis+sentinel://a":                           "add ?master=NAME",
		"redis+sentinel://a?sentinel_password=secret%": "name=value&name=value",
	} {
		_, err := redisurl.Parse(address)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", address, err)
		}
	}
}
