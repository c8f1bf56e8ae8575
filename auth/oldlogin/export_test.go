package oldlogin

import "github.com/posternhq/postern/auth"

// Judge is what Login makes of an answer.
func Judge(status int, contentType string, body []byte, fields []auth.MigrateField) (auth.NewAccount, error) {
	if err := judge(status); err != nil {
		return auth.NewAccount{}, err
	}
	answer, err := read(contentType, body)
	if err != nil {
		return auth.NewAccount{}, err
	}
	return account(answer, fields)
}
