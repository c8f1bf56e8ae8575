package auth

import "strings"

// OpensKeys is nil when the master key opens every one of the keys: the store
// that holds them is one that this master key belongs to.
func (k MasterKey) OpensKeys(keys []SealedKey) error {
	for _, sealed := range keys {
		if _, err := (sealer{master: k}).open(sealed); err != nil {
			return err
		}
	}
	return nil
}

// AccessKeys are the ids of the keys that sign access tokens, of whatever
// algorithm. With them gone from a store no access token that was ever issued
// from it is good, also not one of an account that the store does not know.
func AccessKeys(keys []SealedKey) []string {
	var ids []string
	for _, k := range keys {
		if strings.HasPrefix(k.Use, useSign) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}
