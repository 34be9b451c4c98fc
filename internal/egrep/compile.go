package egrep

// node is a part of an expression.
type node struct {
	kind     kind
	set      *set
	children []*node
	low      int
	high     int // unlimited if negative
}

type kind uint8

const (
	one      kind = iota // a character of set
	sequence             // children one behind the other, none for the empty text
	choice
	repeat // the only child, low to high times
	begin
	end
)

// compiler turns nodes into states, from the end to the beginning.
type compiler struct {
	states []state
	full   bool
}

func (c *compiler) add(s state) int {
	if len(c.states) >= maxStates {
		c.full = true
		return 0
	}
	c.states = append(c.states, s)
	return len(c.states) - 1
}

// compile returns the state with which a node begins that goes on with out.
func (c *compiler) compile(n *node, out int) int {
	if c.full {
		return 0
	}
	switch n.kind {
	case one:
		return c.add(state{do: character, set: n.set, out: out})
	case begin:
		return c.add(state{do: beginsHere, out: out})
	case end:
		return c.add(state{do: endsHere, out: out})
	case sequence:
		for i := len(n.children) - 1; i >= 0; i-- {
			out = c.compile(n.children[i], out)
		}
		return out
	case choice:
		start := c.compile(n.children[len(n.children)-1], out)
		for i := len(n.children) - 2; i >= 0; i-- {
			start = c.add(state{do: fork, out: c.compile(n.children[i], out), other: start})
		}
		return start
	}
	return c.repeat(n, out)
}

func (c *compiler) repeat(n *node, out int) int {
	child := n.children[0]
	if n.high < 0 {
		loop := c.add(state{do: fork, other: out})
		body := c.compile(child, loop)
		if c.full {
			return 0
		}
		c.states[loop].out = body
		out = loop
	}
	for i := n.low; i < n.high && !c.full; i++ {
		out = c.add(state{do: fork, out: c.compile(child, out), other: out})
	}
	for i := 0; i < n.low && !c.full; i++ {
		out = c.compile(child, out)
	}
	return out
}
