package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// found is a file that find looks at.
type found struct {
	// name starts with the path that was typed.
	name, path string
	stat       unix.Stat_t
	depth      int
}

// test says whether an expression holds for a file. Actions are tests, too.
type test func(*found) bool

// finder is one run of find.
type finder struct {
	c                  *call
	minDepth, maxDepth int
	oneFileSystem      bool
	depthFirst, acts   bool
	// pruned: the directory just looked at is not entered.
	pruned bool
	// over: -quit was met.
	over bool
	// batches are run at the end: -exec … +.
	batches []*batch
	device  uint64
}

type batch struct {
	arguments []string
	names     []string
}

// maxDepth bounds how deep find goes, and how deep expressions may nest.
const maxDepth = 1000

// find lists what is below paths and fits an expression of -name, -type, -size, -exec and so on.
func find(c *call) error {
	f := &finder{c: c, maxDepth: maxDepth}
	arguments := c.Arguments[1:]
	var names []string
	for len(arguments) > 0 && !isExpression(arguments[0]) {
		names, arguments = append(names, arguments[0]), arguments[1:]
	}
	holds, err := f.parse(arguments)
	if err != nil {
		return wrongUse("%v", err)
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	for _, name := range names {
		e := &found{name: name, path: c.path(name)}
		if err := unix.Lstat(e.path, &e.stat); err != nil {
			c.complain(fmt.Errorf("%s: %w", name, err))
			continue
		}
		f.device = uint64(e.stat.Dev)
		f.visit(e, holds)
	}
	for _, b := range f.batches {
		f.run(b)
	}
	return c.Err()
}

func isExpression(word string) bool {
	return len(word) > 1 && word[0] == '-' || word == "(" || word == ")" || word == "!" || word == ","
}

func (f *finder) visit(e *found, holds test) {
	if f.c.Err() != nil || f.over {
		return
	}
	isDir := e.stat.Mode&unix.S_IFMT == unix.S_IFDIR
	f.pruned = false
	if !f.depthFirst && e.depth >= f.minDepth {
		holds(e)
	}
	if isDir && !f.pruned && e.depth < f.maxDepth && !(f.oneFileSystem && uint64(e.stat.Dev) != f.device) {
		names, err := readNames(e.path)
		if err != nil {
			f.c.complain(err)
		}
		for _, name := range names {
			below := &found{name: strings.TrimSuffix(e.name, "/") + "/" + name, path: filepath.Join(e.path, name), depth: e.depth + 1}
			if err := unix.Lstat(below.path, &below.stat); err != nil {
				f.c.complain(fmt.Errorf("%s: %w", below.name, err))
				continue
			}
			f.visit(below, holds)
		}
	}
	if f.depthFirst && e.depth >= f.minDepth && !f.over {
		holds(e)
	}
}

// parse reads an expression; nothing stands for all files. Without an action, what fits is printed.
func (f *finder) parse(words []string) (test, error) {
	p := &findParser{f: f, words: words}
	holds := test(func(*found) bool { return true })
	if len(words) > 0 {
		var err error
		if holds, err = p.either(0); err != nil {
			return nil, err
		}
		if len(p.words) > 0 {
			return nil, fmt.Errorf("%q was not expected", p.words[0])
		}
	}
	if f.acts {
		return holds, nil
	}
	return func(e *found) bool { return holds(e) && f.print("\n")(e) }, nil
}

func (f *finder) print(end string) test {
	return func(e *found) bool {
		name := e.name
		if end == "\n" {
			name = f.c.text(name)
		}
		fmt.Fprint(f.c.out, name, end)
		return true
	}
}

// findParser takes the words of an expression one after another.
type findParser struct {
	f     *finder
	words []string
}

func (p *findParser) next() (word string, ok bool) {
	if len(p.words) == 0 {
		return "", false
	}
	word, p.words = p.words[0], p.words[1:]
	return word, true
}

func (p *findParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *findParser) either(depth int) (test, error) {
	left, err := p.both(depth)
	for err == nil && (p.peek() == "-o" || p.peek() == "-or") {
		p.next()
		var right test
		one := left
		if right, err = p.both(depth); err == nil {
			left = func(e *found) bool { return one(e) || right(e) }
		}
	}
	return left, err
}

func (p *findParser) both(depth int) (test, error) {
	left, err := p.one(depth)
	for err == nil {
		switch p.peek() {
		case "", "-o", "-or", ")":
			return left, nil
		case "-a", "-and":
			p.next()
		}
		var right test
		one := left
		if right, err = p.one(depth); err == nil {
			left = func(e *found) bool { return one(e) && right(e) }
		}
	}
	return nil, err
}

func (p *findParser) one(depth int) (test, error) {
	if depth > maxDepth {
		return nil, errors.New("the expression nests too deep")
	}
	word, ok := p.next()
	switch {
	case !ok:
		return nil, errors.New("an expression is missing at the end")
	case word == "!" || word == "-not":
		not, err := p.one(depth + 1)
		if err != nil {
			return nil, err
		}
		return func(e *found) bool { return !not(e) }, nil
	case word == "(":
		inside, err := p.either(depth + 1)
		if err != nil {
			return nil, err
		}
		if closing, _ := p.next(); closing != ")" {
			return nil, errors.New(`")" is missing`)
		}
		return inside, nil
	}
	if t, err := p.action(word); t != nil || err != nil {
		return t, err
	}
	if t := p.f.plain(word); t != nil {
		return t, nil
	}
	value, ok := p.next()
	if !ok {
		return nil, fmt.Errorf("there is no %s without a value", word)
	}
	t, err := p.f.valued(word, value)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", word, value, err)
	}
	return t, nil
}

// action returns what does something, nil if the word is none.
func (p *findParser) action(word string) (test, error) {
	f := p.f
	switch word {
	case "-print", "-print0", "-delete", "-exec", "-ls", "-prune", "-quit":
	default:
		return nil, nil
	}
	f.acts = f.acts || word != "-prune" && word != "-quit"
	switch word {
	case "-print":
		return f.print("\n"), nil
	case "-print0":
		return f.print("\x00"), nil
	case "-prune":
		return func(e *found) bool { f.pruned = true; return true }, nil
	case "-delete":
		f.depthFirst = true
		return f.delete, nil
	case "-exec":
		return p.exec()
	case "-ls":
		return func(e *found) bool {
			row := append([]string{strconv.FormatUint(e.stat.Ino, 10)}, listing{}.details(listed{e.name, e.path, e.stat})...)
			fmt.Fprintln(f.c.out, strings.Join(append(row, f.c.text(e.name)), " "))
			return true
		}, nil
	}
	return func(*found) bool { f.over = true; return true }, nil
}

func (f *finder) delete(e *found) bool {
	remove := unix.Unlink
	if e.stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		if e.depth == 0 && (e.name == "." || e.path == "/") {
			return true
		}
		remove = unix.Rmdir
	}
	if err := remove(e.path); err != nil {
		f.c.complain(fmt.Errorf("%s: %w", e.name, err))
		return false
	}
	return true
}

func (p *findParser) exec() (test, error) {
	var arguments []string
	for {
		word, ok := p.next()
		switch {
		case !ok:
			return nil, errors.New(`-exec needs ";" or "{} +" at its end`)
		case word == ";" && len(arguments) > 0:
			return func(e *found) bool {
				line := make([]string, len(arguments))
				for i, a := range arguments {
					line[i] = strings.ReplaceAll(a, "{}", e.name)
				}
				return p.f.c.start(line, strings.NewReader("")) == 0
			}, nil
		case word == "+" && len(arguments) > 1 && arguments[len(arguments)-1] == "{}":
			b := &batch{arguments: arguments[:len(arguments)-1]}
			p.f.batches = append(p.f.batches, b)
			return func(e *found) bool {
				if b.names = append(b.names, e.name); len(b.names) == maxBatch {
					p.f.run(b)
				}
				return true
			}, nil
		}
		arguments = append(arguments, word)
	}
}

// maxBatch is how many names -exec … + gives to one call.
const maxBatch = 500

func (f *finder) run(b *batch) {
	if len(b.names) == 0 {
		return
	}
	if f.c.start(append(append([]string{}, b.arguments...), b.names...), strings.NewReader("")) != 0 {
		f.c.code = 1
	}
	b.names = nil
}

// plain returns a test without a value, nil if there is none of the name.
func (f *finder) plain(word string) test {
	yes := func(*found) bool { return true }
	switch word {
	case "-true":
		return yes
	case "-false":
		return func(*found) bool { return false }
	case "-depth":
		f.depthFirst = true
		return yes
	case "-xdev", "-mount":
		f.oneFileSystem = true
		return yes
	case "-empty":
		return func(e *found) bool {
			switch e.stat.Mode & unix.S_IFMT {
			case unix.S_IFREG:
				return e.stat.Size == 0
			case unix.S_IFDIR:
				file, err := os.Open(e.path)
				if err != nil {
					return false
				}
				defer file.Close()
				_, err = file.Readdirnames(1)
				return errors.Is(err, io.EOF)
			}
			return false
		}
	}
	return nil
}

// fileKind returns the type of a file by its letter, 0 for others.
func fileKind(letter string) uint32 {
	switch letter {
	case "f":
		return unix.S_IFREG
	case "d":
		return unix.S_IFDIR
	case "l":
		return unix.S_IFLNK
	case "b":
		return unix.S_IFBLK
	case "c":
		return unix.S_IFCHR
	case "p":
		return unix.S_IFIFO
	case "s":
		return unix.S_IFSOCK
	}
	return 0
}

// valued returns a test with a value.
func (f *finder) valued(word, value string) (test, error) {
	switch word {
	case "-name", "-iname", "-path", "-ipath", "-lname":
		return matchName(word, value)
	case "-type":
		var kinds []uint32
		for kind := range strings.SplitSeq(value, ",") {
			if fileKind(kind) == 0 {
				return nil, errors.New("a type is one of f d l b c p s")
			}
			kinds = append(kinds, fileKind(kind))
		}
		return func(e *found) bool {
			for _, kind := range kinds {
				if e.stat.Mode&unix.S_IFMT == kind {
					return true
				}
			}
			return false
		}, nil
	case "-maxdepth", "-mindepth":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return nil, errors.New("it is no number")
		}
		if word == "-maxdepth" {
			f.maxDepth = min(int(n), maxDepth)
		} else {
			f.minDepth = int(n)
		}
		return func(*found) bool { return true }, nil
	case "-newer":
		var stat unix.Stat_t
		if err := unix.Stat(f.c.path(value), &stat); err != nil {
			return nil, err
		}
		return func(e *found) bool { return older(&stat, &e.stat) }, nil
	case "-perm":
		return permissions(value)
	case "-size":
		return sizes(value)
	}
	compared := map[string]func(*found) int64{
		"-uid": func(e *found) int64 { return int64(e.stat.Uid) }, "-gid": func(e *found) int64 { return int64(e.stat.Gid) },
		"-links": func(e *found) int64 { return int64(e.stat.Nlink) }, "-inum": func(e *found) int64 { return int64(e.stat.Ino) },
		"-mtime": func(e *found) int64 { return int64(time.Since(time.Unix(e.stat.Mtim.Sec, 0)) / (24 * time.Hour)) },
		"-mmin": func(e *found) int64 {
			return int64((time.Since(time.Unix(e.stat.Mtim.Sec, 0)) + time.Minute - 1) / time.Minute)
		},
	}[word]
	if compared == nil {
		return nil, errors.New("it is not known")
	}
	fits, err := comparison(value)
	if err != nil {
		return nil, err
	}
	return func(e *found) bool { return fits(compared(e)) }, nil
}

func matchName(word, pattern string) (test, error) {
	fold := func(s string) string { return s }
	if word[1] == 'i' {
		fold = strings.ToLower
		pattern = strings.ToLower(pattern)
	}
	// A "*" of find stands for "/" as well, which it does not in path.Match.
	hide := func(s string) string { return strings.ReplaceAll(s, "/", "\x01") }
	if _, err := path.Match(hide(pattern), ""); err != nil {
		return nil, err
	}
	return func(e *found) bool {
		name := e.name
		switch word {
		case "-name", "-iname":
			name = path.Base(name)
		case "-lname":
			name, _ = os.Readlink(e.path)
		}
		ok, _ := path.Match(hide(pattern), hide(fold(name)))
		return ok
	}, nil
}

func permissions(value string) (test, error) {
	digits := strings.TrimLeft(value, "-/")
	bits, err := strconv.ParseUint(digits, 8, 16)
	if err != nil || len(value)-len(digits) > 1 || bits > 0o7777 {
		return nil, errors.New("it is no octal mode")
	}
	wanted := uint32(bits)
	return func(e *found) bool {
		switch mode := e.stat.Mode & 0o7777; value[0] {
		case '-':
			return mode&wanted == wanted
		case '/':
			return wanted == 0 || mode&wanted != 0
		default:
			return mode == wanted
		}
	}, nil
}

// sizes reads [+-]N[cwbkMG]; sizes are rounded up to the unit, which is 512 bytes without a letter.
func sizes(value string) (test, error) {
	unit := int64(512)
	if value != "" {
		if u, ok := map[byte]int64{'c': 1, 'w': 2, 'b': 512, 'k': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[value[len(value)-1]]; ok {
			unit, value = u, value[:len(value)-1]
		}
	}
	fits, err := comparison(value)
	if err != nil {
		return nil, err
	}
	return func(e *found) bool { return fits((e.stat.Size + unit - 1) / unit) }, nil
}

// comparison reads N, +N for more, or -N for less.
func comparison(value string) (func(int64) bool, error) {
	digits := strings.TrimLeft(value, "+-")
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil || len(value)-len(digits) > 1 {
		return nil, errors.New("it is no number")
	}
	switch value[0] {
	case '+':
		return func(x int64) bool { return x > int64(n) }, nil
	case '-':
		return func(x int64) bool { return x < int64(n) }, nil
	}
	return func(x int64) bool { return x == int64(n) }, nil
}
