package auth

import (
	"context"
	"io"
)

func ParseMasterKey(text []byte) (MasterKey, error)                { return MasterKey{}, ErrUnavailable }
func NewMasterKey(rand io.Reader) (MasterKey, string)              { return MasterKey{}, "" }
func New(ctx context.Context, o Options) (*Service, error)         { return nil, ErrUnavailable }
func (s *Service) Reconfigure(ctx context.Context, c Config) error { return ErrUnavailable }
func (s *Service) Login(ctx context.Context, cr Credentials, c Client) (Grant, error) {
	return Grant{}, ErrUnavailable
}
func (s *Service) Refresh(ctx context.Context, token string, c Client) (Grant, error) {
	return Grant{}, ErrUnavailable
}
func (s *Service) RefreshSession(token string) (sid string, ok bool)      { return "", false }
func (s *Service) Logout(ctx context.Context, sid string, c Client) error { return ErrUnavailable }
func (s *Service) LogoutAll(ctx context.Context, accountID string, c Client) error {
	return ErrUnavailable
}
func (s *Service) Verify(raw string) (Principal, error) { return Principal{}, ErrTokenInvalid }
func (s *Service) Issued(raw string) bool               { return true }
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	return Account{}, ErrUnavailable
}
func (s *Service) FindAccount(ctx context.Context, name string) (Account, error) {
	return Account{}, ErrUnavailable
}
func (s *Service) Accounts(ctx context.Context) ([]Account, error) { return nil, ErrUnavailable }
func (s *Service) CountAccounts(ctx context.Context) (int, error)  { return 0, ErrUnavailable }
func (s *Service) Sessions(ctx context.Context, accountID string) ([]Session, error) {
	return nil, ErrUnavailable
}
func (s *Service) SessionCount(ctx context.Context) (int, error) { return 0, ErrUnavailable }
func (s *Service) RevokeSession(ctx context.Context, accountID, sid, by string, c Client) error {
	return ErrUnavailable
}
func (s *Service) RevokeSessions(ctx context.Context, accountID, by string) error {
	return ErrUnavailable
}
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next string, c Client) (Grant, error) {
	return Grant{}, ErrUnavailable
}
func (s *Service) SetProfile(ctx context.Context, accountID string, ch ProfileChange) (Account, error) {
	return Account{}, ErrUnavailable
}
func (s *Service) AddAccount(ctx context.Context, n NewAccount, by string) (Account, error) {
	return Account{}, ErrUnavailable
}
func (s *Service) SetAccount(ctx context.Context, id string, ch AccountChange, by string) (Account, error) {
	return Account{}, ErrUnavailable
}
func (s *Service) DeleteAccount(ctx context.Context, id, by string) error { return ErrUnavailable }
func (s *Service) JWKS() []byte                                           { return nil }
func (s *Service) Follow(ctx context.Context) error                       { return ErrUnavailable }
func (s *Service) OnRevoke(f func(Revocation)) (cancel func())            { return func() {} }
func (s *Service) Healthy() error                                         { return ErrUnavailable }
func Fold(name string) string                                             { return name }
func WithPresented(ctx context.Context, p Presented) context.Context      { return ctx }
func PresentedIn(ctx context.Context) Presented                           { return Presented{} }
func (c Config) Validate() []Fault                                        { return nil }
func (b *Bytes) UnmarshalText(text []byte) error                          { return nil }
