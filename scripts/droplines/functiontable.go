package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The section .gopclntab, as written by Go 1.20 and newer: src/cmd/link/internal/ld/pcln.go, read by src/runtime/symtab.go.
const (
	tableMagic  = 0xfffffff1
	headerWords = 8 // after the first 8 bytes, each of 8 bytes
	entrySize   = 8 // of the list of functions: where it starts, where its record is

	// A record (runtime._func) has this many bytes before its tables' offsets, and these fields.
	recordSize     = 44
	fieldFrame     = 16 // offset of the table of frame sizes
	fieldFile      = 20 // offset of the table of files
	fieldLine      = 24 // offset of the table of lines
	fieldCount     = 28 // how many further tables
	fieldUnit      = 32 // which list of file names
	fieldStartLine = 36
)

// functionTable is a section .gopclntab. Its parts are slices of the section, in its own order.
type functionTable struct {
	unitFiles []byte // per compilation unit, where the names of its files are
	fileNames []byte
	tables    []byte // of program counters: pairs of variable length, each table ends with a zero
	functions []byte // the list of functions, then their records
	count     uint64
}

var errTruncated = errors.New("it is truncated")

// parseFunctionTable takes a section apart. It refuses what it does not know: a newer Go may arrange it otherwise.
func parseFunctionTable(section []byte) (*functionTable, error) {
	if len(section) < 8+8*headerWords {
		return nil, errTruncated
	}
	if magic := binary.LittleEndian.Uint32(section); magic != tableMagic || section[7] != 8 {
		return nil, fmt.Errorf("its kind %#x with words of %d bytes is not known", magic, section[7])
	}
	var header [headerWords]uint64
	for i := range header {
		header[i] = binary.LittleEndian.Uint64(section[8+8*i:])
	}
	// Number of functions, of files, start of the code, names of functions; then these.
	ends := append(header[4:8:8], uint64(len(section)))
	for i := range ends[1:] {
		if ends[i] > ends[i+1] || ends[i+1] > uint64(len(section)) {
			return nil, errors.New("its parts are not in the known order")
		}
	}
	t := &functionTable{
		unitFiles: section[ends[0]:ends[1]],
		fileNames: section[ends[1]:ends[2]],
		tables:    section[ends[2]:ends[3]],
		functions: section[ends[3]:],
		count:     header[0],
	}
	if t.count == 0 || t.count > uint64(len(t.functions))/entrySize {
		return nil, fmt.Errorf("%d functions do not fit in", t.count)
	}
	return t, nil
}

// drop takes the lines and files out. Nothing is changed if anything is not as expected.
func (t *functionTable) drop() error {
	kept, dropped := map[uint32]bool{}, map[uint32]bool{}
	records := make([][]byte, t.count)
	for i := range records {
		record, err := t.record(uint64(i))
		if err != nil {
			return fmt.Errorf("function %d: %w", i, err)
		}
		records[i] = record
		kept[binary.LittleEndian.Uint32(record[fieldFrame:])] = true
		for further := record[recordSize:]; len(further) > 0; further = further[4:] {
			kept[binary.LittleEndian.Uint32(further)] = true
		}
		dropped[binary.LittleEndian.Uint32(record[fieldFile:])] = true
		dropped[binary.LittleEndian.Uint32(record[fieldLine:])] = true
	}
	// The linker lets equal tables be one, so one of lines can be one of frame sizes as well.
	wanted := make([]bool, len(t.tables))
	for offset := range kept {
		table, err := t.table(offset)
		if err != nil {
			return err
		}
		for i := range table {
			wanted[int(offset)+i] = true
		}
	}
	var unwanted [][]byte
	for offset := range dropped {
		table, err := t.table(offset)
		if err != nil {
			return err
		}
		overlap := 0
		for i := range table {
			if wanted[int(offset)+i] {
				overlap++
			}
		}
		switch {
		case overlap == 0:
			unwanted = append(unwanted, table)
		case overlap != len(table):
			return fmt.Errorf("the table at %d overlaps another one", offset)
		}
	}

	for _, table := range unwanted {
		clear(table)
	}
	for _, record := range records {
		// Offset 0 means that there is no such table; the runtime says "?:0" then (funcline1).
		clear(record[fieldFile:fieldCount])
		clear(record[fieldUnit : fieldStartLine+4])
	}
	clear(t.unitFiles)
	clear(t.fileNames)
	return nil
}

// record gives the record of a function with the offsets of its further tables.
func (t *functionTable) record(i uint64) ([]byte, error) {
	offset := uint64(binary.LittleEndian.Uint32(t.functions[i*entrySize+4:]))
	if offset > uint64(len(t.functions)) || uint64(len(t.functions))-offset < recordSize {
		return nil, errTruncated
	}
	record := t.functions[offset:]
	if !bytes.Equal(record[:4], t.functions[i*entrySize:][:4]) {
		return nil, errors.New("its record is for another address")
	}
	size := recordSize + 4*uint64(binary.LittleEndian.Uint32(record[fieldCount:]))
	if size > uint64(len(record)) {
		return nil, errTruncated
	}
	return record[:size:size], nil
}

// table gives the bytes of one table of program counters, nothing for offset 0.
func (t *functionTable) table(offset uint32) ([]byte, error) {
	if offset == 0 {
		return nil, nil
	}
	if uint64(offset) >= uint64(len(t.tables)) {
		return nil, fmt.Errorf("a table at %d: %w", offset, errTruncated)
	}
	rest := t.tables[offset:]
	for first := true; ; first = false {
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, fmt.Errorf("a table at %d: %w", offset, errTruncated)
		}
		rest = rest[n:]
		// A first value may be 0; a later one ends the table.
		if value == 0 && !first {
			return t.tables[offset : len(t.tables)-len(rest)], nil
		}
		if _, n = binary.Uvarint(rest); n <= 0 {
			return nil, fmt.Errorf("a table at %d: %w", offset, errTruncated)
		}
		rest = rest[n:]
	}
}
