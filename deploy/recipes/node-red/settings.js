// settings.js of a Node-RED 4 behind Postern. What is not here is as in
// the file that Node-RED makes on its first start.
//
// There is no adminAuth: Postern alone reaches this Node-RED, and decides.
// Whoever may use the editor may run programs on this machine.
module.exports = {
    uiHost: '127.0.0.1',
    uiPort: 1880,

    // Two trees, so that the policy can tell the editor from the flows.
    httpAdminRoot: '/editor',
    httpNodeRoot: '/api',

    flowFile: 'flows.json',
    credentialSecret: process.env.NODE_RED_CREDENTIAL_SECRET,

    telemetry: { enabled: false },
    editorTheme: {
        tours: false,
        menu: { 'menu-item-help': { label: 'Log out', url: '/auth/logout' } }
    }
}
