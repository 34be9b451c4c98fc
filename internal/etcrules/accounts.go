package etcrules

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// accountFiles are the files in their order, with whose lines they have and the mode of a new one.
var accountFiles = []struct {
	name   string
	groups bool
	mode   uint32
}{
	{"passwd", false, 0o644},
	{"group", true, 0o644},
	{"shadow", false, 0o640},
	{"gshadow", true, 0o640},
}

// temporary is the beginning of the names of files that are being written. What is left of them, an interrupted run has left.
const temporary = ".preroot-new."

// planAccounts is R3: the account files are there, and have the users and groups that the image needs. Lines that are there are never
// changed.
func (r *Rules) planAccounts() {
	if r.settings.Accounts == "" {
		return
	}
	for _, file := range accountFiles {
		wanted := r.settings.Users
		if file.groups {
			wanted = r.settings.Groups
		}
		if err := r.planAccountFile(file.name, file.mode, wanted); err != nil {
			r.note("R3: %v", err)
		}
	}
}

func (r *Rules) planAccountFile(name string, mode uint32, wanted []string) error {
	path := "/etc/" + name
	if f, found, err := r.look("/etc/" + temporary + name); err == nil && found && f.isRegular() {
		r.add(Action{Rule: "R3", Do: Remove, Path: "/etc/" + temporary + name, Why: "an interrupted run left it", seen: f})
	}
	f, found, err := r.look(path)
	if err != nil {
		return err
	}
	if found && f.kind() == unix.S_IFCHR {
		r.add(Action{Rule: "R3", Do: Remove, Path: path, Why: "a deleted account file is made again", seen: f})
		found = false
	}
	shipped, err := r.readShipped(r.settings.Accounts+"/"+name, maxList)
	if err == unix.ENOENT {
		return fmt.Errorf("there is no %s/%s", r.settings.Accounts, name)
	}
	if err != nil {
		return err
	}
	present := ""
	if found {
		if !f.isRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		if present, err = r.readFile(path, &f, maxList); err != nil {
			return err
		}
	}
	var lines strings.Builder
	var names []string
	for _, account := range wanted {
		if findAccount(present, account) != "" || findAccount(lines.String(), account) != "" {
			continue
		}
		if line := findAccount(shipped, account); line != "" {
			lines.WriteString(line + "\n")
			names = append(names, account)
		}
	}
	if len(names) > 0 {
		r.add(Action{
			Rule: "R3", Do: AppendLines, Path: path, Why: "it has no line for " + strings.Join(names, ", "),
			seen: f, text: lines.String(), mode: mode, hasMode: true, uid: -1, gid: -1,
		})
	}
	return nil
}

// findAccount returns the first line for a name, without its end; "" if there is none.
func findAccount(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// accountIDs are the numbers of users and groups.
type accountIDs struct{ users, groups [2]string }

// lookupID returns the number of a user or group: of the root's own files, then of those that are shipped. -1 stands for no name.
func (r *Rules) lookupID(name string, group bool) (int, error) {
	if name == "" {
		return -1, nil
	}
	if number, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(number), nil
	}
	if name == "root" {
		return 0, nil
	}
	if r.ids == nil {
		r.ids = &accountIDs{}
		r.ids.users[0], r.ids.users[1] = r.readAccounts("passwd")
		r.ids.groups[0], r.ids.groups[1] = r.readAccounts("group")
	}
	files, kind := r.ids.users, "user"
	if group {
		files, kind = r.ids.groups, "group"
	}
	for _, text := range files {
		fields := strings.Split(findAccount(text, name), ":")
		if len(fields) < 3 {
			continue
		}
		if number, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return int(number), nil
		}
	}
	return -1, fmt.Errorf("%s %q is not known", kind, name)
}

func (r *Rules) readAccounts(name string) (own, shipped string) {
	if f, found, err := r.look("/etc/" + name); err == nil && found && f.isRegular() {
		own, _ = r.readFile("/etc/"+name, &f, maxList)
	}
	if r.settings.Accounts != "" {
		shipped, _ = r.readShipped(r.settings.Accounts+"/"+name, maxList)
	}
	return own, shipped
}
