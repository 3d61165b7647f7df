import type { FastifyServerOptions } from 'fastify'

const noSchemas = () => {
  throw new Error('a route with a schema needs the compilers that noSchemas leaves out')
}

/** For Fastify: no route here has a schema, and its compilers (Ajv, fast-json-stringify) would be loaded all the same, 20 ms and 4 MB. */
export const withoutSchemas = {
  schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
} satisfies FastifyServerOptions
