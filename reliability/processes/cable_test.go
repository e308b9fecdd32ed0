//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// echo is a server that answers each line with it, and tells of it.
func echo(t *testing.T) (addr string, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the test is over
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for in := bufio.NewScanner(c); in.Scan(); {
					lines <- in.Text()
					_, _ = fmt.Fprintln(c, in.Text()) // whoever asked may be gone
				}
				_ = c.Close() // the other side did
			}()
		}
	}()
	return l.Addr().String(), lines
}

// ask sends a line and waits for the answer for a while.
func ask(t *testing.T, c net.Conn, line string, patience time.Duration) error {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != line+"\n" {
		err = fmt.Errorf("the answer is %q", answer)
	}
	return err
}

const (
	soon = 10 * time.Second       // for what must come
	late = 100 * time.Millisecond // for what must not
)

func TestACableIsCutAndMended(t *testing.T) {
	for how, test := range map[string]func(t *testing.T, c *cable, old net.Conn, heard <-chan string){
		cutRefused: func(t *testing.T, c *cable, old net.Conn, _ <-chan string) {
			if err := ask(t, old, "b", soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a connection goes on: %v", err)
			}
			if conn, err := net.Dial("tcp", c.addr); err == nil {
				_ = conn.Close()
				t.Error("there is a new connection")
			}
			c.mend(t.Context())
		},
		cutHole: func(t *testing.T, c *cable, old net.Conn, heard <-chan string) {
			if err := ask(t, old, "b", late); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("an answer of a black hole: %v", err)
			}
			fresh, err := net.Dial("tcp", c.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			if err := ask(t, fresh, "c", late); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("an answer of a black hole: %v", err)
			}
			select {
			case line := <-heard:
				t.Errorf("%q came through", line)
			default:
			}
			c.mend(t.Context())
			for range 2 { // both come late
				<-heard
			}
			if err := ask(t, fresh, "c", soon); err != nil {
				t.Errorf("when it is mended: %v", err)
			}
		},
		cutHalfOpen: func(t *testing.T, c *cable, old net.Conn, heard <-chan string) {
			if err := ask(t, old, "b", late); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("an answer: %v", err)
			}
			if line := <-heard; line != "b" {
				t.Errorf("%q came through", line)
			}
			c.mend(t.Context())
			if err := ask(t, old, "c", late); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("an answer on a connection that was cut: %v", err)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			addr, heard := echo(t)
			c, err := newCable(t.Context(), addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			old, err := net.Dial("tcp", c.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			if err := ask(t, old, "a", soon); err != nil {
				t.Fatal(err)
			}
			<-heard
			c.cut(how)
			test(t, c, old, heard)
			fresh, err := net.Dial("tcp", c.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			if err := ask(t, fresh, "z", soon); err != nil {
				t.Errorf("when it is mended: %v", err)
			}
		})
	}
}
