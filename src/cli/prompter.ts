import { isCancel, password, select, text } from '@clack/prompts'
import type { Prompter } from './init.ts'

/** Questions on the terminal. Must not be used without one: the library waits for ever on a closed input. */
export const terminalPrompter: Prompter = {
  async choose(question, options) {
    const answer = await select({ message: question, options: [...options], maxItems: 14 })
    return isCancel(answer) ? undefined : answer
  },
  async ask({ question, example, byDefault, secret }) {
    const message = `${question} (Enter to ${byDefault === '' ? 'fill it in later' : `take ${byDefault}`})`
    const answer = secret
      ? await password({ message })
      : await text({ message, placeholder: example, defaultValue: byDefault })
    return isCancel(answer) ? undefined : given(answer)
  },
}

/** An empty answer comes back as undefined, whatever the type says. */
const given = (answer: string | undefined) => answer ?? ''
