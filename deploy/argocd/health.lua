-- What Argo CD shows of a SesSmtpCredential: Degraded if somebody has to act, Progressing while the
-- operator works or waits, Suspended, else Healthy once the Secret holds a working credential.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" or condition.type == "Ready" then
    conditions[condition.type] = condition
  end
end

local function health(word, condition, otherwise)
  local message = otherwise
  if condition then
    message = condition.reason .. ": " .. condition.message
  end
  return { status = word, message = message }
end

if obj.metadata.deletionTimestamp then
  return health("Progressing", conditions.Stalled or conditions.Reconciling, "being deleted")
elseif status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", nil, "waiting for the operator to see this spec")
elseif conditions.Suspended then
  return health("Suspended", conditions.Suspended)
elseif conditions.Stalled then
  return health("Degraded", conditions.Stalled)
elseif conditions.Reconciling then
  return health("Progressing", conditions.Reconciling)
elseif conditions.Ready and conditions.Ready.status == "True" then
  return health("Healthy", conditions.Ready)
end
return health("Progressing", conditions.Ready, "waiting for the operator")
