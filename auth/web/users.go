package web

import (
	"net/http"
	"strings"

	"github.com/posternhq/postern/auth"
)

// publicUser is what everybody may see of an account. There is no place in it
// for an address, a role or a person's name: what is public was configured
// field by field.
type publicUser struct {
	ID       string         `json:"id"`
	Username string         `json:"username,omitempty"` // not where it is an e-mail address
	Fields   map[string]any `json:"fields"`
}

// publicProfile answers the public fields of an account, to anybody. Where no
// field is public, and of an account that is disabled or not there, it answers
// as an address does at which nothing is.
func (h *Handler) publicProfile(w http.ResponseWriter, r *http.Request) {
	a, err := h.service.PublicProfile(r.Context(), h.idIn(r))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeJSON(w, r, publicOf(a))
}

// publicOf leaves out the rest; a.Fields holds public ones alone.
func publicOf(a auth.Account) publicUser {
	u := publicUser{ID: a.ID, Username: a.Username, Fields: auth.FieldsData(a.Fields)}
	if strings.Contains(auth.Fold(u.Username), "@") {
		u.Username = ""
	}
	return u
}
