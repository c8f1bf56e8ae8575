// Package config reads gateway.yaml.
//
//	listen: 127.0.0.1:8080
//	upstreams:
//	  - name: app
//	    urls: [http://127.0.0.1:9000]
//	routes:
//	  - path: /**
//	    allow: authenticated
//
// Check never stops at the first mistake. Each finding has the file,
// the line and the column, and says what to write instead:
//
//	gateway.yaml:7:7: unknown key "alow" (did you mean "allow"?)
//	gateway.yaml:9:15: auth.access_token.ttl: 15 needs a unit: write 15m or 15s
//
// # Why not yaml.Unmarshal
//
// A gateway's configuration decides who gets in, so whatever could be read in
// two ways is refused: unknown and duplicate keys, numbers for texts, durations
// without a unit, 010 and 1_000, yes and on, anchors and merge keys, a second
// document. The structs belong to the packages that they configure; shape.go
// derives from them what the decoder, the environment and the schema need, so
// that a key is written down in one place only.
//
// # Why viper does not convert
//
// Viper decides which source of a value wins. It is never shown the lists of
// objects: it would lower-case what users wrote and lose the line.
package config
