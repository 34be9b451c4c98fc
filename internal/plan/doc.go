// Package plan decides. Its functions are pure: from what was observed they make
// values that say what will be opened, mounted, merged or refused, and why;
// package apply carries them out, and the report shows them.
//
// A boot has three rounds, since /usr must be open before the extensions can be
// judged: PlanBoot from command line and settings, PlanVerity from partitions
// and superblock, PlanMerge from the images.
package plan
