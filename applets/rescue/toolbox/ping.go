package toolbox

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// pinger is one run of ping.
type pinger struct {
	*call
	target          netip.Addr
	socket          int
	identifier      uint16
	sent, received  int
	shortest, whole time.Duration
	longest         time.Duration
	quiet           bool
	pattern         []byte
	raw             bool
}

// ping asks another machine for an echo: by its address, nobody here knows names. -c COUNT, -i SECONDS between, -W SECONDS to wait
// for an answer, -s bytes.
func ping(c *call) error {
	set, names, err := c.parse("4 6 c: i: I: n q s: W: w:")
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return wrongUse("name one address")
	}
	p := &pinger{call: c, identifier: uint16(os.Getpid()), quiet: set.has("q")}
	if p.target, err = netip.ParseAddr(names[0]); err != nil {
		return wrongUse("%q is no address, and there is nobody here who knows names", names[0])
	}
	count, every, wait, size, limit := 0, time.Second, time.Second, 56, time.Duration(0)
	for _, g := range set {
		var n float64
		if g.letter != 'I' && g.value != "" {
			if n, err = strconv.ParseFloat(g.value, 64); err != nil || n < 0 || n > 65000 {
				return wrongUse("-%c %s: it is no number", g.letter, g.value)
			}
		}
		switch g.letter {
		case 'c':
			count = int(n)
		case 'i':
			every = max(time.Duration(n*float64(time.Second)), 10*time.Millisecond)
		case 'W':
			wait = time.Duration(n * float64(time.Second))
		case 'w':
			limit = time.Duration(n * float64(time.Second))
		case 's':
			size = int(n)
		}
	}
	p.pattern = make([]byte, size)
	for i := range p.pattern {
		p.pattern[i] = byte(i)
	}
	device, _ := set.value('I')
	if err := p.open(device); err != nil {
		return err
	}
	defer unix.Close(p.socket)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, unix.SIGINT)
	defer signal.Stop(interrupted)
	fmt.Fprintf(c.out, "PING %s: %d data bytes\n", p.target, size)
	c.flush()
	started := time.Now()
	for number := 1; count == 0 || number <= count; number++ {
		begin := time.Now()
		if err := p.once(uint16(number), wait); err != nil {
			c.complain(err)
		}
		c.flush()
		if number == count || limit > 0 && time.Since(started) > limit {
			break
		}
		select {
		case <-time.After(time.Until(begin.Add(every))):
			continue
		case <-interrupted:
		case <-c.Done():
		}
		break
	}
	p.summary()
	if p.received == 0 {
		return exitCode(1)
	}
	return exitCode(0)
}

// open opens a socket for ICMP: that for everybody, or where the kernel allows it to nobody, a raw one.
func (p *pinger) open(device string) error {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if p.target.Is6() {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	socket, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		p.raw = true
		if socket, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return fmt.Errorf("open a socket for ICMP: %w", err)
		}
	}
	p.socket = socket
	if device != "" {
		if err := unix.BindToDevice(socket, device); err != nil {
			unix.Close(socket)
			return fmt.Errorf("%s: %w", device, err)
		}
	}
	return nil
}

func (p *pinger) address() (unix.Sockaddr, error) {
	if p.target.Is4() {
		return &unix.SockaddrInet4{Addr: p.target.As4()}, nil
	}
	zone := 0
	if name := p.target.Zone(); name != "" {
		text, err := os.ReadFile("/sys/class/net/" + name + "/ifindex")
		if err == nil {
			zone, err = strconv.Atoi(string(text[:max(len(text)-1, 0)]))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: there is no such network device", name)
		}
	}
	return &unix.SockaddrInet6{Addr: p.target.As16(), ZoneId: uint32(zone)}, nil
}

// once sends one request and waits for its answer.
func (p *pinger) once(number uint16, wait time.Duration) error {
	to, err := p.address()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := unix.Sendto(p.socket, echoRequest(p.target.Is6(), p.identifier, number, p.pattern), 0, to); err != nil {
		p.sent++
		return fmt.Errorf("%s: %w", p.target, err)
	}
	p.sent++
	buf := make([]byte, 64<<10)
	for {
		left := wait - time.Since(begin)
		if left <= 0 {
			if !p.quiet {
				fmt.Fprintf(p.out, "no answer to %d within %v\n", number, wait)
			}
			return nil
		}
		limit := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := unix.SetsockoptTimeval(p.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return err
		}
		n, _, err := unix.Recvfrom(p.socket, buf, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			if err == unix.EINTR {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.target, err)
		}
		size, ok := echoReply(buf[:n], p.target.Is6(), p.raw, p.identifier, number)
		if !ok {
			continue
		}
		took := time.Since(begin)
		p.received++
		p.whole += took
		p.longest = max(p.longest, took)
		if p.shortest == 0 || took < p.shortest {
			p.shortest = took
		}
		if !p.quiet {
			fmt.Fprintf(p.out, "%d bytes from %s: seq=%d time=%.3f ms\n", size, p.target, number, took.Seconds()*1000)
		}
		return nil
	}
}

func (p *pinger) summary() {
	loss := 0
	if p.sent > 0 {
		loss = 100 * (p.sent - p.received) / p.sent
	}
	fmt.Fprintf(p.out, "%d packets transmitted, %d received, %d%% packet loss\n", p.sent, p.received, loss)
	if p.received > 0 {
		ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
		fmt.Fprintf(p.out, "round-trip min/avg/max = %.3f/%.3f/%.3f ms\n", ms(p.shortest), ms(p.whole/time.Duration(p.received)), ms(p.longest))
	}
}

const echoHeader = 8

// echoRequest is a message of RFC 792 or RFC 4443, whose checksum the kernel makes.
func echoRequest(v6 bool, identifier, number uint16, pattern []byte) []byte {
	packet := make([]byte, echoHeader, echoHeader+len(pattern))
	packet[0] = 8
	if v6 {
		packet[0] = 128
	}
	binary.BigEndian.PutUint16(packet[4:], identifier)
	binary.BigEndian.PutUint16(packet[6:], number)
	packet = append(packet, pattern...)
	if !v6 {
		binary.BigEndian.PutUint16(packet[2:], checksum(packet))
	}
	return packet
}

func checksum(data []byte) uint16 {
	sum := uint32(0)
	for i, b := range data {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// echoReply tells whether a packet answers a request, and how many bytes it has. A raw IPv4 socket gives the IP header, too.
func echoReply(packet []byte, v6, raw bool, identifier, number uint16) (size int, ok bool) {
	if raw && !v6 {
		if len(packet) < 20 || int(packet[0]&15)*4 > len(packet) {
			return 0, false
		}
		packet = packet[int(packet[0]&15)*4:]
	}
	kind := byte(0)
	if v6 {
		kind = 129
	}
	if len(packet) < echoHeader || packet[0] != kind || binary.BigEndian.Uint16(packet[6:]) != number {
		return 0, false
	}
	// The kernel chooses the identifier of a socket that is not raw, and passes on only its answers.
	return len(packet), !raw || binary.BigEndian.Uint16(packet[4:]) == identifier
}
