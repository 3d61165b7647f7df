/** What must happen in one step. Each touches one key, so that a cluster can run it. */

/**
 * KEYS[1] a grant; ARGV[1] its new version, ARGV[2] its document, ARGV[3..] the versions that may be in place ('' = no document).
 * Compare and swap on the version is the fence: whoever slept through its lease holds an old version.
 */
export const saveScript = `
local current = redis.call('HGET', KEYS[1], 'version') or ''
for i = 3, #ARGV do
  if current == ARGV[i] then
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'document', ARGV[2])
    return 1
  end
end
return 0`

/**
 * Takes or renews. KEYS[1] a lease, ARGV[1] its owner, ARGV[2] milliseconds. One that vanished (Redis restarted without its data) and that nobody took
 * is taken again, so that nobody else spends the token meanwhile.
 */
export const leaseScript = `
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0`

/** KEYS[1] a lease, ARGV[1] its owner. */
export const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`
