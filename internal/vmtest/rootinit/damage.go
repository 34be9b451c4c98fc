package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// readDamaged changes a file where it lies on the disk, below the device-mapper device of /usr, and reads it again. The file has to be one
// block that is nowhere else. What comes back is no answer of dm-verity, which with its panic leaves nobody to answer.
func readDamaged(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	below, err := devicesBelow("usr")
	if err != nil {
		return err
	}
	damaged := false
	for _, device := range below {
		found, err := damage(device, content)
		if err != nil {
			return err
		}
		damaged = damaged || found
	}
	if !damaged {
		return fmt.Errorf("it is on none of %s", strings.Join(below, " "))
	}
	// What dm-verity says of it is worth seeing.
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("7 4 1 7"), 0); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return err
	}
	again, err := os.ReadFile(name)
	if err == nil && bytes.Equal(again, content) {
		err = errors.New("it was read as it was")
	} else if err == nil {
		err = errors.New("it was read with its damage")
	}
	return err
}

// devicesBelow gives the nodes of what a device-mapper device lies on.
func devicesBelow(name string) (nodes []string, err error) {
	all, err := filepath.Glob("/sys/class/block/dm-*")
	if err != nil {
		return nil, err
	}
	for _, device := range all {
		if text, err := os.ReadFile(filepath.Join(device, "dm/name")); err != nil || strings.TrimSpace(string(text)) != name {
			continue
		}
		slaves, err := os.ReadDir(filepath.Join(device, "slaves"))
		if err != nil {
			return nil, err
		}
		for _, slave := range slaves {
			nodes = append(nodes, "/dev/"+slave.Name())
		}
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("no device-mapper device %s lies on anything", name)
	}
	return nodes, nil
}

// damage turns over the first byte of a block with this content on a device, if it has one.
func damage(node string, content []byte) (found bool, err error) {
	device, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer device.Close()
	block := make([]byte, len(content))
	for offset := int64(0); ; offset += int64(len(block)) {
		if _, err := device.ReadAt(block, offset); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if bytes.Equal(block, content) {
			if _, err := device.WriteAt([]byte{content[0] ^ 1}, offset); err != nil {
				return false, err
			}
			return true, device.Sync()
		}
	}
}
