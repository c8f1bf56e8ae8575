// A client as the tutorials write it for bezkoder's API, on the real axios: it
// keeps two tokens, sends one as x-access-token, and on a 401 asks for another
// and tries once more. It knows nothing of a gateway.
//
//   node axios-client.js BASE USERNAME PASSWORD
//
// It writes one line of JSON for each step.
const axios = require('axios')

const [baseURL, username, password] = process.argv.slice(2)
const storage = { accessToken: null, refreshToken: null }
let refreshes = 0

const instance = axios.create({ baseURL, headers: { 'Content-Type': 'application/json' } })

instance.interceptors.request.use((config) => {
  if (storage.accessToken) config.headers['x-access-token'] = storage.accessToken
  return config
})

instance.interceptors.response.use((res) => res, async (err) => {
  const original = err.config
  if (original.url !== '/auth/signin' && err.response && err.response.status === 401 && !original._retry) {
    original._retry = true
    const rs = await instance.post('/auth/refreshtoken', { refreshToken: storage.refreshToken })
    refreshes++
    storage.accessToken = rs.data.accessToken
    return instance(original)
  }
  return Promise.reject(err)
})

const say = (step, what) => console.log(JSON.stringify({ step, ...what }))
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const attempt = async (f) => {
  try {
    const r = await f()
    return { status: r.status, data: r.data }
  } catch (err) {
    if (!err.response) throw err
    return { status: err.response.status, data: err.response.data }
  }
}

// expired waits until the server must take the token for expired, by the token's
// own word.
async function expired() {
  const { exp } = JSON.parse(Buffer.from(storage.accessToken.split('.')[1], 'base64url'))
  while (Date.now() < (exp + 1) * 1000) await sleep(50)
}

async function main() {
  say('wrong', await attempt(() => instance.post('/auth/signin', { username, password: password + 'x' })))
  say('signup', await attempt(() => instance.post('/auth/signup', { username, email: username + '@example.com', password })))
  const login = await instance.post('/auth/signin', { username, password })
  say('signin', { status: login.status, data: login.data })
  storage.accessToken = login.data.accessToken
  storage.refreshToken = login.data.refreshToken
  say('user', await attempt(() => instance.get('/test/user')))
  say('admin', await attempt(() => instance.get('/test/admin')))
  await expired()
  const old = storage.accessToken
  say('bare', await attempt(() => axios.get(baseURL + '/test/user', { headers: { 'x-access-token': old } })))
  say('retried', { ...await attempt(() => instance.get('/test/user')), refreshes })
  await expired()
  const many = await Promise.all([1, 2, 3, 4, 5].map(() => attempt(() => instance.get('/test/user'))))
  say('many', { statuses: many.map((r) => r.status), refreshes })
  say('refresh', await attempt(() => instance.post('/auth/refreshtoken', { refreshToken: storage.refreshToken })))
  say('end', await attempt(() => axios.post(new URL('/auth/logout', baseURL).href, { refresh_token: storage.refreshToken })))
  say('after', await attempt(() => instance.get('/test/user')))
}

main().catch((err) => { console.error(err); process.exit(1) })
