// verdict is 401 or the role of who asks; it leaves the name in $auth_user.
import crypto from 'crypto';

function verdict(r) {
    const given = r.headersIn.Authorization;
    if (!given || !given.startsWith('Bearer ')) {
        return '401';
    }
    const parts = given.slice(7).split('.');
    if (parts.length !== 3) {
        return '401';
    }
    try {
        const mac = crypto.createHmac('sha256', '{{.Secret}}').update(parts[0] + '.' + parts[1]).digest('base64url');
        if (mac !== parts[2] || JSON.parse(Buffer.from(parts[0], 'base64url')).alg !== 'HS256') {
            return '401';
        }
        const claims = JSON.parse(Buffer.from(parts[1], 'base64url'));
        if (!(claims.exp > Date.now() / 1000) || claims.iss !== '{{.Issuer}}' || claims.aud !== '{{.Audience}}') {
            return '401';
        }
        r.variables.auth_user = claims.sub;
        return claims.role;
    } catch (e) {
        return '401';
    }
}

export default { verdict };
