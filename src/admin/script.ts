export const script = ''
