#!/usr/bin/python3
"""Makes password hashes with the programs that the accounts come from.

    testdata/vectors.py SECTION ...       one line a hash: program, password as
                                          JSON and hash, with tabs between
    testdata/vectors.py > testdata/vectors.txt    all sections

A section needs its program and nothing else; `make setup` installs those that
the tests run (django, passlib, werkzeug, php, htpasswd, mkpasswd, openssl).
The others were run once, on Debian 12:

    devise      ruby-devise
    slappasswd  slapd (SLAPPASSWD and SLAPMODULES name program and modules when
                the package was only unpacked)
    wordpress   wordpress (WORDPRESS names its wp-includes)
    npm         firebase-scrypt, aspnetcore-identity-password-hasher and
                aspnet-identity-pw from npm (NODE_PATH names the folder)
    primitives  what no package has: formats put together of Python's own
                scrypt and PBKDF2 as their systems' documentation says
"""
import base64
import hashlib
import json
import os
import subprocess
import sys

PASSWORDS = ["correct horse", "pässwörd ☃", "x"]
LONG = "a password of more than seventy-two bytes, which some systems digest before they hash"


def emit(program, password, text):
    print(program, json.dumps(password, ensure_ascii=False), text.strip(), sep="\t")


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout.strip()


def django():
    from django.conf import settings
    settings.configure(PASSWORD_HASHERS=["django.contrib.auth.hashers." + name for name in (
        "PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher",
        "BCryptSHA256PasswordHasher", "BCryptPasswordHasher")])
    from django.contrib.auth import hashers
    for algorithm, change in {
        "pbkdf2_sha256": {"iterations": 2000}, "pbkdf2_sha1": {"iterations": 2000},
        "argon2": {"time_cost": 1, "memory_cost": 64, "parallelism": 2},
        "bcrypt_sha256": {"rounds": 4}, "bcrypt": {"rounds": 4},
    }.items():
        hasher = hashers.get_hasher(algorithm)
        for name, value in change.items():
            setattr(type(hasher), name, value)
        for password in PASSWORDS + ([] if algorithm == "bcrypt" else [LONG]):
            emit("django", password, hasher.encode(password, hasher.salt()))


def passlib():
    from passlib import hash as h
    for handler in (
        h.pbkdf2_sha1.using(rounds=2000), h.pbkdf2_sha256.using(rounds=2000), h.pbkdf2_sha512.using(rounds=2000),
        h.scrypt.using(rounds=4), h.argon2.using(type="ID", rounds=1, memory_cost=64, parallelism=1),
        h.argon2.using(type="I", rounds=2, memory_cost=64, parallelism=2),
        h.bcrypt_sha256.using(rounds=4, version=1), h.bcrypt_sha256.using(rounds=4, version=2),
        h.phpass.using(rounds=7), h.sha256_crypt.using(rounds=1000), h.sha512_crypt.using(rounds=5000),
        h.md5_crypt, h.apr_md5_crypt, h.ldap_salted_sha1, h.ldap_salted_md5, h.ldap_salted_sha256, h.ldap_salted_sha512,
        h.ldap_sha1, h.ldap_md5, h.ldap_pbkdf2_sha256.using(rounds=2000), h.ldap_sha512_crypt.using(rounds=1000),
        h.django_pbkdf2_sha256.using(rounds=2000),
    ):
        for password in PASSWORDS + [LONG]:
            emit("passlib", password, handler.hash(password))
    for ident in ("2a", "2b", "2y"):
        emit("passlib", PASSWORDS[0], h.bcrypt.using(rounds=4, ident=ident).hash(PASSWORDS[0]))


def werkzeug():
    from werkzeug.security import generate_password_hash
    for method in ("pbkdf2:sha1:2000", "pbkdf2:sha256:2000", "pbkdf2:sha512:2000"):
        for password in PASSWORDS:
            emit("werkzeug", password, generate_password_hash(password, method=method))


def php():
    code = r"""
        $cheap = ['memory_cost' => 64, 'time_cost' => 2, 'threads' => 1];
        foreach (json_decode($argv[1]) as $p) {
            $made = [password_hash($p, PASSWORD_BCRYPT, ['cost' => 4])];
            if (defined('PASSWORD_ARGON2ID')) {
                $made[] = password_hash($p, PASSWORD_ARGON2I, $cheap);
                $made[] = password_hash($p, PASSWORD_ARGON2ID, $cheap);
            }
            // The very expression of wp_hash_password in WordPress 6.8, which no
            // Debian release had when this was written.
            $pre = base64_encode(hash_hmac('sha384', trim($p), 'wp-sha384', true));
            $made[] = '$wp' . password_hash($pre, PASSWORD_BCRYPT, ['cost' => 4]);
            foreach ($made as $h) echo json_encode([$p, $h]), "\n";
        }
    """
    for line in run("php", "-r", code, "--", json.dumps(PASSWORDS)).splitlines():
        emit("php", *json.loads(line))


def htpasswd():
    for password in PASSWORDS:
        for flags in (["-m"], ["-s"], ["-2"], ["-5"], ["-B", "-C", "4"]):
            emit("htpasswd", password, run("htpasswd", "-nb", *flags, "u", password).split(":", 1)[1])


def mkpasswd():
    for password in PASSWORDS:
        for method, more in {"md5crypt": [], "sha256crypt": [], "sha512crypt": ["-R", "1000"], "bcrypt": ["-R", "4"], "bcrypt-a": ["-R", "4"], "scrypt": ["-R", "6"]}.items():
            emit("mkpasswd", password, run("mkpasswd", "-m", method, *more, "--stdin", input=password))


def openssl():
    for password in PASSWORDS:
        for kind in ("-1", "-apr1", "-5", "-6"):
            emit("openssl", password, run("openssl", "passwd", kind, "-stdin", input=password))


def devise():
    code = r"""
        require "json"; require "active_support"; require "active_support/core_ext"; require "bcrypt"; module Devise; end
        load Gem.find_files("devise/encryptor.rb").first
        Cost = Struct.new(:stretches, :pepper)
        JSON.parse(ARGV[0]).each { |p| puts JSON.generate([p, Devise::Encryptor.digest(Cost.new(4, nil), p)]) }
    """
    for line in run("ruby", "-e", code, json.dumps(PASSWORDS)).splitlines():
        emit("devise", *json.loads(line))


def slappasswd():
    program, modules = os.environ.get("SLAPPASSWD", "slappasswd"), os.environ.get("SLAPMODULES", "/usr/lib/ldap")
    for password in PASSWORDS:
        for scheme in ("SSHA", "SHA", "SMD5", "MD5"):
            emit("slappasswd", password, run(program, "-h", "{%s}" % scheme, "-s", password))
        emit("slappasswd", password, run(program, "-h", "{CRYPT}", "-c", "$6$%.12s", "-s", password))
        for scheme in ("SSHA256", "SSHA384", "SSHA512", "SHA256", "SHA384", "SHA512"):
            emit("slappasswd", password, run(program, "-o", "module-path=" + modules, "-o", "module-load=pw-sha2", "-h", "{%s}" % scheme, "-s", password))
        emit("slappasswd", password, run(program, "-o", "module-path=" + modules, "-o", "module-load=argon2", "-h", "{ARGON2}", "-s", password))


def wordpress():
    code = r"""
        require getenv('WORDPRESS') . '/class-phpass.php';
        foreach (json_decode($argv[1]) as $p) {
            foreach ([8, 10] as $log) {
                $hasher = new PasswordHash($log, true);
                echo json_encode([$p, $hasher->HashPassword(trim($p))]), "\n";
            }
        }
    """
    os.environ.setdefault("WORDPRESS", "/usr/share/wordpress/wp-includes")
    for line in run("php", "-r", code, "--", json.dumps(PASSWORDS + [LONG])).splitlines():
        emit("wordpress", *json.loads(line))


def npm():
    code = r"""
        const { FirebaseScrypt } = require("firebase-scrypt");
        const core = require("aspnetcore-identity-password-hasher"), old = require("aspnet-identity-pw");
        const crypto = require("crypto");
        const project = { memCost: 8, rounds: 8, saltSeparator: "Bw==", signerKey: crypto.randomBytes(64).toString("base64") };
        (async () => {
            for (const p of JSON.parse(process.argv[1])) {
                const salt = crypto.randomBytes(10).toString("base64");
                const hash = await new FirebaseScrypt(project).hash(p, salt);
                const text = `$fbscrypt$v=1,n=${project.memCost},r=${project.rounds},p=1,ss=${project.saltSeparator},sk=${project.signerKey}$${salt}$${hash}`;
                console.log(JSON.stringify(["firebase-scrypt", p, text]));
                console.log(JSON.stringify(["aspnetcore-identity-password-hasher", p, await core.hash(p)]));
                console.log(JSON.stringify(["aspnet-identity-pw", p, old.hashPassword(p)]));
            }
        })();
    """
    for line in run("node", "-e", code, json.dumps(PASSWORDS)).splitlines():
        emit(*json.loads(line))


def primitives():
    b64 = lambda data: base64.b64encode(data).decode()
    for password in PASSWORDS + [LONG]:
        raw = password.encode()
        key = lambda salt, n, r, p, size: hashlib.scrypt(raw, salt=salt, n=n, r=r, p=p, dklen=size)
        emit("primitives", password, "scrypt$1024$seasalt$8$1$" + b64(key(b"seasalt", 1024, 8, 1, 64)))
        emit("primitives", password, "scrypt:1024:8:1$seasalt$" + key(b"seasalt", 1024, 8, 1, 64).hex())
        salt = os.urandom(16)
        emit("primitives", password, "{scrypt}$a0801$%s$%s" % (b64(salt), b64(key(salt, 1024, 8, 1, 32))))
        if password == PASSWORDS[0]:  # these cannot be made cheap
            emit("primitives", password, "{pbkdf2@SpringSecurity_v5_8}" + (salt + hashlib.pbkdf2_hmac("sha256", raw, salt, 310000)).hex())
            emit("primitives", password, "{pbkdf2}" + (salt[:8] + hashlib.pbkdf2_hmac("sha1", raw, salt[:8], 185000, 32)).hex())
        for algorithm, size in {"sha1": 64, "sha256": 64, "sha512": 64}.items():
            digest = hashlib.pbkdf2_hmac(algorithm, raw, salt, 2700, size)
            emit("primitives", password, json.dumps({
                "type": "password",
                "secretData": json.dumps({"value": b64(digest), "salt": b64(salt), "additionalParameters": {}}),
                "credentialData": json.dumps({"hashIterations": 2700, "algorithm": "pbkdf2" + ("" if algorithm == "sha1" else "-" + algorithm), "additionalParameters": {}}),
            }, separators=(",", ":")))
    from argon2.low_level import hash_secret_raw, Type
    for password in PASSWORDS:
        salt = os.urandom(16)
        digest = hash_secret_raw(password.encode(), salt, time_cost=2, memory_cost=64, parallelism=1, hash_len=32, type=Type.ID)
        emit("primitives", password, json.dumps({
            "secretData": {"value": b64(digest), "salt": b64(salt), "additionalParameters": {}},
            "credentialData": {"hashIterations": 2, "algorithm": "argon2", "additionalParameters": {
                "hashLength": ["32"], "memory": ["64"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}},
        }, separators=(",", ":")))


SECTIONS = [django, passlib, werkzeug, php, htpasswd, mkpasswd, openssl, devise, slappasswd, wordpress, npm, primitives]

if __name__ == "__main__":
    wanted = sys.argv[1:] or [section.__name__ for section in SECTIONS]
    for section in SECTIONS:
        if section.__name__ in wanted:
            section()
