package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licence is what a module may be used under.
type licence struct {
	id    string // of SPDX
	texts []string
}

// licenceFile is what modules call the files with their terms.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)`)

// readLicences finds the terms of each linked module in the module cache.
func readLicences(root string, info *buildinfo.BuildInfo) (map[string]licence, error) {
	found := map[string]licence{}
	for _, m := range info.Deps {
		dir, err := moduleDir(root, m.Path)
		if err != nil {
			return nil, err
		}
		l, err := readLicence(dir)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
		found[m.Path] = l
	}
	return found, nil
}

// moduleDir asks the go command, which fetches what is not in the cache yet and
// checks it against go.sum.
func moduleDir(root, path string) (string, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", path)
	var said bytes.Buffer
	cmd.Dir, cmd.Stderr = root, &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w: %s", path, err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// readLicence reads all files of terms in the module's folder. The first that
// is called LICENSE says which licence it is.
func readLicence(dir string) (licence, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return licence{}, err
	}
	var l licence
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return licence{}, err
		}
		l.texts = append(l.texts, string(text))
		if l.id == "" && !strings.HasPrefix(strings.ToUpper(entry.Name()), "NOTICE") {
			l.id = classify(string(text))
		}
	}
	if l.id == "" {
		return licence{}, fmt.Errorf("no licence that is known to be free in %s; read it, and add it to classify", dir)
	}
	return l, nil
}

// notFree are words of terms that a binary of ours may not come under, whatever
// else a file says beside them.
var notFree = []string{"GNU GENERAL PUBLIC", "GNU LESSER", "GNU AFFERO", "Commons Clause", "Business Source"}

// known are the licences that somebody has looked at, each with words that only
// it has. The clause on names makes three clauses of BSD's two, so it is looked
// for first.
var known = []struct {
	id    string
	words []string // all of them, and of each the alternatives between bars
}{
	{"Apache-2.0", []string{"Apache License Version 2.0, January 2004"}},
	{"MPL-2.0", []string{"Mozilla Public License Version 2.0|Mozilla Public License, version 2.0"}},
	{"MIT", []string{"Permission is hereby granted, free of charge, to any person obtaining a copy"}},
	{"ISC", []string{"Permission to use, copy, modify, and/or distribute this software for any purpose"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "Neither the name|nor the names of|names of the contributors|may not be used to endorse"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms"}},
}

// classify names a licence by its words, however its lines are broken; "" for
// one that nobody has looked at.
func classify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(word string) bool { return strings.Contains(text, word) }
	if slices.ContainsFunc(notFree, has) {
		return ""
	}
	for _, l := range known {
		lacks := func(word string) bool { return !slices.ContainsFunc(strings.Split(word, "|"), has) }
		if !slices.ContainsFunc(l.words, lacks) {
			return l.id
		}
	}
	return ""
}

// writeTexts writes the terms that go along with the binary.
func writeTexts(out io.Writer, info *buildinfo.BuildInfo, licences map[string]licence) error {
	for _, m := range info.Deps {
		l := licences[m.Path]
		if _, err := fmt.Fprintf(out, "==== %s %s (%s)\n\n%s\n\n", m.Path, m.Version, l.id, strings.Join(l.texts, "\n\n----\n\n")); err != nil {
			return err
		}
	}
	return nil
}
