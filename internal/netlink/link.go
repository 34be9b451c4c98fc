package netlink

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Link is a network device.
type Link struct {
	Index int
	Name  string
	// Flags are IFF_*, State is that of RFC 2863 (IF_OPER_*), Type ARPHRD_*.
	Flags uint32
	State uint8
	Type  uint16
	MTU   uint32
	// Hardware and Broadcast are addresses of the hardware.
	Hardware, Broadcast []byte
	// Queueing is the name of the queueing discipline, Length of the queue in packets.
	Queueing string
	Length   uint32
}

const linkHeader = 16 // struct ifinfomsg

// Links returns all network devices in the order of the kernel.
func Links() ([]Link, error) {
	received, err := exchange(message{kind: unix.RTM_GETLINK, flags: unix.NLM_F_DUMP, body: make([]byte, linkHeader)})
	if err != nil {
		return nil, refused(err, "list network devices")
	}
	var links []Link
	for _, m := range received {
		if m.kind != unix.RTM_NEWLINK {
			continue
		}
		link, err := parseLink(m)
		if err != nil {
			return nil, refused(err, "list network devices")
		}
		links = append(links, link)
	}
	return links, nil
}

func parseLink(m message) (Link, error) {
	attributes, err := m.attributes(linkHeader)
	if err != nil {
		return Link{}, err
	}
	link := Link{
		Type: native.Uint16(m.body[2:]), Index: int(int32(native.Uint32(m.body[4:]))), Flags: native.Uint32(m.body[8:]),
		Name: text(attributes[unix.IFLA_IFNAME]), MTU: number(attributes[unix.IFLA_MTU]), Length: number(attributes[unix.IFLA_TXQLEN]),
		Queueing: text(attributes[unix.IFLA_QDISC]), Hardware: attributes[unix.IFLA_ADDRESS], Broadcast: attributes[unix.IFLA_BROADCAST],
	}
	if state := attributes[unix.IFLA_OPERSTATE]; len(state) > 0 {
		link.State = state[0]
	}
	return link, nil
}

// LinkByName returns a network device.
func LinkByName(name string) (Link, error) {
	links, err := Links()
	if err != nil {
		return Link{}, err
	}
	for _, link := range links {
		if link.Name == name {
			return link, nil
		}
	}
	return Link{}, fmt.Errorf("there is no network device %q", name)
}

// LinkChange is what shall be different; what is nil or empty stays.
type LinkChange struct {
	Up       *bool
	MTU      *uint32
	Name     string
	Hardware []byte
}

// SetLink changes a network device.
func SetLink(link Link, change LinkChange) error {
	m := message{kind: unix.RTM_NEWLINK, body: make([]byte, linkHeader)}
	native.PutUint32(m.body[4:], uint32(link.Index))
	if change.Up != nil {
		if *change.Up {
			native.PutUint32(m.body[8:], unix.IFF_UP)
		}
		native.PutUint32(m.body[12:], unix.IFF_UP)
	}
	if change.MTU != nil {
		m.addNumber(unix.IFLA_MTU, *change.MTU)
	}
	if change.Name != "" {
		m.add(unix.IFLA_IFNAME, append([]byte(change.Name), 0))
	}
	if change.Hardware != nil {
		m.add(unix.IFLA_ADDRESS, change.Hardware)
	}
	_, err := exchange(m)
	return refused(err, "change network device %s", link.Name)
}
