package netlink

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Address is an address of a network device.
type Address struct {
	Index int // of the device
	// Prefix is the address with the length of its network's prefix.
	Prefix netip.Prefix
	// Peer is the other end of a line between two, with the length of the prefix then; else not valid.
	Peer      netip.Prefix
	Broadcast netip.Addr
	Scope     uint8 // RT_SCOPE_*
	Flags     uint32
	Label     string
}

const addressHeader = 8 // struct ifaddrmsg

// Addresses returns the addresses of all devices, of both families.
func Addresses() ([]Address, error) {
	received, err := exchange(message{kind: unix.RTM_GETADDR, flags: unix.NLM_F_DUMP, body: make([]byte, addressHeader)})
	if err != nil {
		return nil, refused(err, "list addresses")
	}
	var addresses []Address
	for _, m := range received {
		if m.kind != unix.RTM_NEWADDR {
			continue
		}
		address, ok, err := parseAddress(m)
		if err != nil {
			return nil, refused(err, "list addresses")
		}
		if ok {
			addresses = append(addresses, address)
		}
	}
	return addresses, nil
}

// parseAddress reports false for families that are not IP.
func parseAddress(m message) (a Address, ok bool, err error) {
	attributes, err := m.attributes(addressHeader)
	if err != nil {
		return a, false, err
	}
	if m.body[0] != unix.AF_INET && m.body[0] != unix.AF_INET6 {
		return a, false, nil
	}
	bits := int(m.body[1])
	a = Address{Index: int(native.Uint32(m.body[4:])), Scope: m.body[3], Flags: uint32(m.body[2]), Label: text(attributes[unix.IFA_LABEL])}
	if flags := attributes[unix.IFA_FLAGS]; flags != nil {
		a.Flags = number(flags)
	}
	far, _ := netip.AddrFromSlice(attributes[unix.IFA_ADDRESS])
	local, isLocal := netip.AddrFromSlice(attributes[unix.IFA_LOCAL])
	if isLocal && local != far {
		// The prefix is that of the other end.
		a.Peer = netip.PrefixFrom(far, bits)
		bits = local.BitLen()
	} else if !isLocal {
		local = far
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	a.Broadcast, _ = netip.AddrFromSlice(attributes[unix.IFA_BROADCAST])
	return a, a.Prefix.IsValid(), nil
}

func (a Address) message(kind, flags uint16) message {
	address := a.Prefix.Addr()
	bits, far := a.Prefix.Bits(), address
	if a.Peer.IsValid() {
		bits, far = a.Peer.Bits(), a.Peer.Addr()
	}
	m := message{kind: kind, flags: flags, body: make([]byte, addressHeader)}
	m.body[0], m.body[1], m.body[3] = family(address), byte(bits), a.Scope
	native.PutUint32(m.body[4:], uint32(a.Index))
	m.add(unix.IFA_LOCAL, address.AsSlice())
	m.add(unix.IFA_ADDRESS, far.AsSlice())
	if a.Broadcast.IsValid() {
		m.add(unix.IFA_BROADCAST, a.Broadcast.AsSlice())
	}
	if a.Label != "" {
		m.add(unix.IFA_LABEL, append([]byte(a.Label), 0))
	}
	return m
}

func family(address netip.Addr) byte {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// AddAddress gives a device an address. With replace it is no error that it has it.
func AddAddress(a Address, replace bool) error {
	flags := uint16(unix.NLM_F_CREATE | unix.NLM_F_EXCL)
	if replace {
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	_, err := exchange(a.message(unix.RTM_NEWADDR, flags))
	return refused(err, "add address %s", a.Prefix)
}

// RemoveAddress takes an address away from a device.
func RemoveAddress(a Address) error {
	_, err := exchange(a.message(unix.RTM_DELADDR, 0))
	return refused(err, "remove address %s", a.Prefix)
}
