-- HAProxy's question to Postern: may this request pass? For HAProxy 2.6 and
-- later, which bring an HTTP client for Lua along. haproxy-forward-auth.cfg
-- loads it, and has it ask by http-request lua.postern URL.

-- What a client may not say of itself, by names in lower case: it would be read
-- as the front end's word.
local ours = {
	["x-forwarded-method"] = true, ["x-forwarded-host"] = true, ["x-forwarded-uri"] = true,
	["x-forwarded-for"] = true, ["x-forwarded-proto"] = true,
	["x-original-method"] = true, ["x-original-url"] = true,
}
-- What belongs to the connection or the body, neither of which the question has.
local dropped = {
	["host"] = true, ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true,
	["expect"] = true, ["upgrade"] = true, ["te"] = true, ["trailer"] = true, ["keep-alive"] = true,
}

-- cut tells a name that the configuration takes out before the application sees
-- it: another spelling of what only the front end or Postern says. Asked about
-- it, Postern says no, for it cannot know that.
local function cut(name)
	if not name:find("[_.]") then return false end
	for _, family in ipairs({ "auth", "original", "rewrite", "forwarded" }) do
		if name:find("^x[-_.]" .. family .. "[-_.]") then return true end
	end
	return false
end

-- first is the value of a field of an answer; "" where there is none.
local function first(headers, name)
	return headers and headers[name] and headers[name][0] or ""
end

core.register_action("postern", { "http-req" }, function(txn, verify)
	local asked = {}
	for name, values in pairs(txn.http:req_get_headers()) do
		if not ours[name] and not dropped[name] and not cut(name) then
			local list = {}
			for _, value in pairs(values) do table.insert(list, value) end
			asked[name] = list
		end
	end
	local host = txn.sf:req_fhdr("host") -- whole: the application gets it with its commas
	asked["host"] = { host }
	asked["x-forwarded-for"] = { txn.sf:src() }
	asked["x-original-method"] = { txn.sf:method() }
	asked["x-original-url"] = { (txn.sf:ssl_fc() == 1 and "https" or "http") .. "://" .. host .. txn.sf:pathq() }

	local answer = core.httpclient():get({ url = verify, headers = asked, timeout = 5000 })
	local headers = answer and answer.headers
	txn:set_var("txn.postern", answer and answer.status or 0)
	txn:set_var("txn.postern_redirect", first(headers, "x-auth-redirect"))
	txn:set_var("txn.postern_status", first(headers, "x-auth-redirect-status"))
	for _, name in ipairs({ "user", "user-id", "email", "roles" }) do
		txn:set_var("txn.postern_" .. name:gsub("-", "_"), first(headers, "x-auth-" .. name))
	end
end, 1)
