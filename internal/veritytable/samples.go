package veritytable

// SampleBlocks returns the data blocks by which a device is tried out: the first, the middle and
// the last one, each once, ascending. The ways to them lead over both ends of every level of the tree.
func (s *Superblock) SampleBlocks() []uint64 {
	var blocks []uint64
	for _, block := range []uint64{0, s.DataBlocks / 2, s.DataBlocks - 1} {
		if len(blocks) == 0 || block > blocks[len(blocks)-1] {
			blocks = append(blocks, block)
		}
	}
	return blocks
}
