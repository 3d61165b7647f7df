/**
 * node:http as CommonJS gives it. An import statement reads every export, getters too, and `WebSocket` among them loads the undici inside Node, which
 * nothing here uses: 20 ms and 12 MB. test/architecture.test.ts keeps everybody to this one.
 */
export const http = process.getBuiltinModule('node:http')
