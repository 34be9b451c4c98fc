package merge

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
)

// version says what the applet is compatible with: scripts ask for it.
const version = "systemd 262 (preroot)\n"

func (s *session) usage() string {
	kind := "system"
	if s.class == osrelease.ClassConfext {
		kind = "configuration"
	}
	var places []string
	for _, hierarchy := range extension.Hierarchies(s.class) {
		places = append(places, hierarchy+"/")
	}
	return fmt.Sprintf(`%s [OPTION…] COMMAND …

Merge %s extension images into %s.

Commands:
  [status]                 Show current merge status (default)
  merge                    Merge extensions into relevant hierarchies
  unmerge                  Unmerge extensions from relevant hierarchies
  refresh                  Merge again what is there now, with no moment
                           in which a path is missing
  list                     List installed extensions
  plan                     Show what a refresh would do, and why
  explain PATH|EXTENSION   Show where a file comes from, or why an extension
                           is merged or not
  drift [PATH]             Show how the writable /etc differs from what the
                           extensions give

Options:
  -h --help                Show this help
     --version             Show package version
     --root=PATH           Operate relative to root PATH
     --image=FILE          Operate on the system in a disk image: plan, explain
                           and list only
     --mutable=MODE        Specify a mutability mode (yes, no, auto, import,
                           ephemeral, ephemeral-import, help)
     --image-policy=POLICY Specify disk image dissection policy
     --noexec=BOOL         Whether to mount extension overlay with noexec
     --force               Ignore version incompatibilities
     --strict              Fail if an image cannot be used, instead of
                           leaving it out
     --thaw                With drift: note entries, so that the next boot
                           moves them aside and the default shows
     --no-reload           Do not reload the service manager
     --always-refresh=BOOL Whether to refresh when no changes were found
     --no-pager            Do not start a pager (there is none)
     --no-legend           Do not show headers and footers
     --json=FORMAT         Generate JSON output (pretty, short, or off)
     --class=CLASS         confext or sysext, instead of what the program's
                           name says

See the systemd-%s(8) man page for details.
`, s.program, kind, strings.Join(places, " and "), s.class)
}
