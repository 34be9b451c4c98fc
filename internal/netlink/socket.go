// Package netlink asks the kernel for network links, addresses and routes, and changes them (rtnetlink(7)). It knows what a
// rescue shell needs: static addresses on devices that exist.
//
// The library for it, github.com/vishvananda/netlink, would add a tenth of bin/preroot's size, since it brings package net along.
package netlink

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// maxReceived is how much the kernel sends at once, at most, in bytes.
const maxReceived = 64 << 10

// answerTime bounds the wait for the kernel, which answers at once.
const answerTime = 10 * time.Second

// exchange sends a request and returns what comes back: all messages of a dump, none for a change.
func exchange(request message) ([]message, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("this kernel has no network: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	limit := unix.NsecToTimeval(answerTime.Nanoseconds())
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Bind(socket, kernel); err != nil {
		return nil, err
	}
	request.sequence = 1
	request.flags |= unix.NLM_F_REQUEST
	dump := request.flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	if !dump {
		request.flags |= unix.NLM_F_ACK
	}
	if err := unix.Sendto(socket, request.encode(), 0, kernel); err != nil {
		return nil, err
	}
	var all []message
	for {
		buf := make([]byte, maxReceived)
		n, from, err := unix.Recvfrom(socket, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Other programs can send here, too.
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue
		}
		received, err := splitMessages(buf[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range received {
			switch {
			case m.sequence != request.sequence:
			case m.kind == unix.NLMSG_ERROR:
				return all, m.answer()
			case m.kind == unix.NLMSG_DONE:
				return all, nil
			default:
				all = append(all, m)
			}
		}
	}
}
