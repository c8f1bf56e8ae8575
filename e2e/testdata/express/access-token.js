// An API as tutorials write them, with the check of its own left in: it takes
// a JWT in x-access-token, made with the secret in SECRET, and believes its id
// and isAdmin. It has no idea that a gateway makes the tokens now.
//
//   node access-token.js SECRET [JWKS AUDIENCE ISSUER]
//
// With a JWKS, /assertion verifies x-auth-assertion against it.
const express = require('express')
const jwt = require('jsonwebtoken')
const jose = require('jose')

const [secret, jwks, audience, issuer] = process.argv.slice(2)
const app = express()

function authenticated(req, res, next) {
  const token = req.headers['x-access-token']
  if (!token) return res.status(401).send({ message: 'No token provided!' })
  jwt.verify(token, secret, { algorithms: ['HS256'] }, (err, decoded) => {
    if (err) return res.status(401).send({ message: 'Unauthorized!' })
    req.userId = decoded.id
    req.isAdmin = decoded.isAdmin
    next()
  })
}

app.get('/', (req, res) => res.send({ message: 'Welcome.', token: req.headers['x-access-token'] || null }))
app.get('/me', authenticated, (req, res) => res.send({ id: req.userId, isAdmin: req.isAdmin, type: typeof req.isAdmin }))
app.get('/board', authenticated, (req, res) => {
  if (req.isAdmin !== true) return res.status(403).send({ message: 'Require Admin Role!' })
  res.send({ message: 'Admin Content.' })
})

// the application's own login, as a client of before would still find it
app.get('/old-token', (req, res) => res.send({ token: jwt.sign({ id: 'mallory', isAdmin: true }, secret, { expiresIn: 86400 }) }))

app.get('/assertion', async (req, res) => {
  try {
    const keys = jose.createRemoteJWKSet(new URL(jwks))
    const { payload, protectedHeader } = await jose.jwtVerify(req.headers['x-auth-assertion'], keys,
      { algorithms: ['ES256'], typ: 'postern-assertion+jwt', audience, issuer, requiredClaims: ['sub', 'exp', 'iat', 'jti', 'sid'] })
    res.send({ payload, protectedHeader })
  } catch (err) {
    res.status(401).send({ message: err.message })
  }
})

app.listen(Number(process.env.PORT), '127.0.0.1')
