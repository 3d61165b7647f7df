// For --import: lists what the process has loaded, modules of Node included, in the file named by LOADED_MODULES when it ends.
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const loaded = []
registerHooks({
  load(url, context, next) {
    if (url.startsWith('file:')) loaded.push(url)
    return next(url, context)
  },
})
process.on('exit', () => {
  const builtin = process.moduleLoadList.filter((name) => name.startsWith('NativeModule '))
  writeFileSync(process.env.LOADED_MODULES, JSON.stringify([...loaded, ...builtin]))
})
