import { z } from 'zod'
import { scalarNumber } from './scalars.ts'

const bodyTexts = z.array(z.string().min(1)).optional()

/** One rule that tells from an upstream answer that a token (or a key) is no good. */
export const rejectionRule = z.strictObject({
  status: scalarNumber().describe('The status of the answer.'),
  onlyBody: bodyTexts.describe('Applies only when the first 64 KiB of the decoded body hold one of these.'),
  unlessBody: bodyTexts.describe('Does not apply when the first 64 KiB of the decoded body hold one of these.'),
})

export const tokenRejectionRule = rejectionRule.extend({
  when: z
    .enum(['always', 'expired-or-once'])
    .default('always')
    .describe('expired-or-once: only past the recorded expiry, else once per token.'),
})
