// An application with users and a login of its own, as it ran before any
// gateway: passwords under scrypt, a token for who may enter. Beside the login
// stand the ways in which other applications' logins answer, or do not.
const express = require('express')
const crypto = require('node:crypto')

const users = []
function signUp (id, login, password, roles) {
  const salt = crypto.randomBytes(16)
  users.push({ id, login, mail: login + '@old.example.com', name: 'Old ' + login, roles, salt, key: crypto.scryptSync(password, salt, 32) })
}
signUp(1001, 'bob', 'bob-password', ['ROLE_USER'])
signUp(1002, 'carol', 'carol-password', ['ROLE_ADMIN', 'ROLE_WHEEL'])
signUp(1003, 'dora', 'dora-password', ['ROLE_USER'])
signUp(1004, 'alice', 'alice-in-the-old-application', ['ROLE_ADMIN'])

function find (login, password) {
  const user = users.find(u => u.login === login || u.mail === login)
  return user && typeof password === 'string' && crypto.timingSafeEqual(crypto.scryptSync(password, user.salt, 32), user.key) ? user : null
}

const app = express()
const asked = [] // every login that was tried, and what came with it
app.use(express.json(), express.urlencoded({ extended: false }))
app.use((req, res, next) => {
  if (req.method === 'POST') asked.push({ path: req.path, login: (req.body || {}).login, headers: req.headers })
  next()
})
app.get('/asked', (req, res) => res.json(asked))

app.post('/api/login', (req, res) => {
  const user = find(req.body.login, req.body.password)
  if (!user) return res.status(401).json({ message: 'Invalid login' })
  const { id, login, mail, name, roles } = user
  res.json({ token: crypto.randomBytes(24).toString('base64url'), user: { id, login, mail, name, roles } })
})

// a form, as pages have it: in is a redirect, and out is the form again
app.post('/login', (req, res) => {
  if (find(req.body.login, req.body.password)) return res.redirect(302, '/api/login')
  res.send('<form method="post"><p>Wrong password</p></form>')
})

// the password would travel on
app.post('/moved', (req, res) => res.redirect(307, '/api/login'))
app.post('/huge', (req, res) => res.json({ user: { id: 1 }, padding: 'x'.repeat(4 << 20) }))
app.post('/broken', (req, res) => res.status(500).json({ user: { id: 1 } }))
app.post('/soft', (req, res) => res.json({ success: false, user: { id: 1 } }))
app.post('/silent', () => {})

app.listen(Number(process.env.PORT), '127.0.0.1')
