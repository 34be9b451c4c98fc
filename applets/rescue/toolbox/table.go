package toolbox

// table has all commands. It is filled here and not at its declaration, since commands look it up.
var table []entry

func init() {
	table = []entry{
		{"dmesg", SeeWhatFailed, "dmesg [-cCdkrTtuwWx] [-l LEVEL[+],...] [-f FACILITY,...] [-n LEVEL]", 1, dmesg},
		{"egrep", SeeWhatFailed, "egrep [OPTION]... EXPRESSION [FILE]...", 2, grep},
		{"fgrep", SeeWhatFailed, "fgrep [OPTION]... TEXT [FILE]...", 2, grep},
		{"free", SeeWhatFailed, "free [-bghkm]", 1, free},
		{"grep", SeeWhatFailed, "grep [-EFciHhLlnoqrsvwx] [-ABC LINES] [-m COUNT] [-e] EXPRESSION [FILE]...", 2, grep},
		{"less", SeeWhatFailed, "less [FILE]...", 1, less},
		{"more", SeeWhatFailed, "more [FILE]...", 1, less},
		{"ps", SeeWhatFailed, "ps", 1, ps},

		{"blkid", LookAtTheDisk, "blkid [-o full|value|export|device] [-s TAG] [-L LABEL | -U UUID | -t TAG=VALUE] [DEVICE]...", 4, blkid},
		{"df", LookAtTheDisk, "df [-ahikT] [PATH]...", 1, df},
		{"lsblk", LookAtTheDisk, "lsblk [-bdflnpr] [-o COLUMN,...] [DEVICE]...", 1, lsblk},
		{"mount", LookAtTheDisk, "mount [-rw] [-t TYPE] [-o OPTION,...] [--bind|--rbind|--move] DEVICE DIRECTORY", 1, mount},
		{"umount", LookAtTheDisk, "umount [-flRr] DIRECTORY|DEVICE...", 1, umount},

		{"dd", RepairVerity, "dd [if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=...] [status=none|progress]", 1, dd},
		{"sha1sum", RepairVerity, "sha1sum [-c] [FILE]...", 1, shasum},
		{"sha256sum", RepairVerity, "sha256sum [-c] [FILE]...", 1, shasum},
		{"sha512sum", RepairVerity, "sha512sum [-c] [FILE]...", 1, shasum},
		{"shasum", RepairVerity, "shasum [-a 1|224|256|384|512] [-cq] [FILE]...", 1, shasum},
		{"sync", RepairVerity, "sync [-df] [FILE]...", 1, sync},

		{"base64", Files, "base64 [-d] [-i] [-w COLUMNS] [FILE]", 1, base64Command},
		{"cat", Files, "cat [-n] [FILE]...", 1, cat},
		{"chmod", Files, "chmod [-Rv] MODE FILE...", 1, chmod},
		{"chown", Files, "chown [-hRv] UID[:GID] FILE...", 1, chown},
		{"cp", Files, "cp [-adfLnPpRruTv] FILE... TARGET", 1, cp},
		{"find", Files, "find [PATH]... [-name PATTERN] [-type fdl] [-size +N] [-exec COMMAND {} ;] ...", 1, find},
		{"gunzip", Files, "gunzip [-cfktv] [FILE]...", 1, gzipCommand},
		{"gzip", Files, "gzip [-1...-9] [-cdfktv] [FILE]...", 1, gzipCommand},
		{"head", Files, "head [-n LINES | -c BYTES] [FILE]...", 1, head},
		{"ln", Files, "ln [-fnsTv] FILE... TARGET", 1, ln},
		{"ls", Files, "ls [-1AadFhilnpRrSt] [PATH]...", 2, ls},
		{"mkdir", Files, "mkdir [-pv] [-m MODE] DIRECTORY...", 1, mkdir},
		{"mktemp", Files, "mktemp [-dqtu] [-p DIRECTORY] [TEMPLATE]", 1, mktemp},
		{"mv", Files, "mv [-fnTv] FILE... TARGET", 1, mv},
		{"rm", Files, "rm [-dfrv] FILE...", 1, rm},
		{"rmdir", Files, "rmdir [-p] DIRECTORY...", 1, rmdir},
		{"tail", Files, "tail [-f] [-n LINES | -c BYTES] [FILE]...", 1, tail},
		{"tar", Files, "tar c|t|x[kmOpvz] [-f FILE] [-C DIRECTORY] [FILE]...", 2, tarCommand},
		{"touch", Files, "touch [-achm] [-d TIME | -r FILE | -t STAMP] FILE...", 1, touch},
		{"wc", Files, "wc [-clmw] [FILE]...", 1, wc},
		{"xargs", Files, "xargs [-0rt] [-n COUNT | -I TEXT] [COMMAND [ARGUMENT]...]", 1, xargs},
		{"zcat", Files, "zcat [FILE]...", 1, gzipCommand},

		{"ip", Network, "ip [-4|-6] [-br] link|addr|route [show|set|add|del|replace|flush] ...", 255, ip},
		{"ping", Network, "ping [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] [-I DEVICE] ADDRESS", 2, ping},

		{"chroot", System, "chroot DIRECTORY [COMMAND [ARGUMENT]...]", 125, chroot},
		{"halt", System, "halt [-p]", 1, end},
		{"kill", System, "kill [-SIGNAL] PROCESS...", 1, kill},
		{"lsmod", System, "lsmod", 1, lsmod},
		{"modprobe", System, "modprobe [-anqrv] MODULE [PARAMETER=VALUE]...", 1, modprobe},
		{"poweroff", System, "poweroff", 1, end},
		{"reboot", System, "reboot", 1, end},
		{"rmmod", System, "rmmod MODULE...", 1, rmmod},
		{"sleep", System, "sleep SECONDS...", 1, sleep},
		{"uname", System, "uname [-amnorsv]", 1, uname},
	}
}
