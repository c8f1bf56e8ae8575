package main

import "testing"

func TestLicencesAreToldApart(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                                                    "Apache-2.0",
		"Permission is hereby granted, free of charge, to any person\nobtaining a copy":                                   "MIT",
		"Redistribution and use in source and binary forms\n * Neither the name of":                                       "BSD-3-Clause",
		"Redistribution and use in source and binary forms, with or without":                                              "BSD-2-Clause",
		"Mozilla Public License, version 2.0":                                                                             "MPL-2.0",
		"Permission to use, copy, modify, and/or distribute this software for any purpose":                                "ISC",
		"GNU GENERAL PUBLIC LICENSE":                                                                                      "",
		"GNU AFFERO GENERAL PUBLIC LICENSE, Permission is hereby granted, free of charge, to any person obtaining a copy": "",
		"All rights reserved.": "",
		"":                     "",
	} {
		if got := classify(text); got != want {
			t.Errorf("%.40q is %q, want %q", text, got, want)
		}
	}
}
