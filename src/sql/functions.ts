/**
 * Functions that a question in SQL may use, in lower case: they compute from their arguments alone. Whatever reads files,
 * other tables, settings or the machine, takes the name of a function as a text, or only costs time, is not here.
 */
const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const SCALARS = words(`
  plus minus multiply divide intdiv intdivorzero modulo moduloorzero negate abs gcd lcm greatest least
  equals notequals less lessorequals greater greaterorequals and or xor not in notin globalin globalnotin exists
  isnull isnotnull isnullable ifnull nullif coalesce assumenotnull tonullable isnan isfinite isinfinite ifnotfinite
  if multiif _cast casewithexpression isdistinctfrom isnotdistinctfrom
  like notlike ilike notilike match position positioncaseinsensitive positionutf8 locate startswith endswith
  extract extractall replaceone replaceall replace replaceregexpone replaceregexpall splitbychar splitbystring splitbyregexp
  concat substring substr substringutf8 left right lower upper lowerutf8 upperutf8 lcase ucase trim trimleft trimright trimboth ltrim rtrim
  length lengthutf8 char_length empty notempty reverse reverseutf8 leftpad rightpad formatreadablesize formatreadablequantity
  toint8 toint16 toint32 toint64 toint128 toint256 touint8 touint16 touint32 touint64 touint128 touint256
  tofloat32 tofloat64 tobool tostring todate todate32 todatetime todatetime64 touuid toipv4 toipv6 tofixedstring tolowcardinality
  todecimal32 todecimal64 todecimal128 todecimal256 cast accuratecastornull accuratecast totypename
  toint8ornull toint16ornull toint32ornull toint64ornull touint8ornull touint16ornull touint32ornull touint64ornull
  tofloat32ornull tofloat64ornull todateornull todatetimeornull touuidornull toint64orzero touint64orzero tofloat64orzero
  parsedatetimebesteffort parsedatetimebesteffortornull parsedatetime64besteffort parsedatetime64besteffortornull
  now now64 today yesterday toyear toquarter tomonth toweek toisoweek toisoyear todayofyear todayofmonth todayofweek tohour tominute tosecond tomillisecond
  tostartofyear tostartofquarter tostartofmonth tostartofweek tostartofday tostartofhour tostartofminute tostartofsecond
  tostartoffiveminutes tostartoftenminutes tostartoffifteenminutes tostartofinterval tomonday tolastdayofmonth
  tounixtimestamp tounixtimestamp64milli fromunixtimestamp fromunixtimestamp64milli totimezone timezoneof datediff date_diff dateadd datesub
  datetrunc date_trunc formatdatetime adddays addhours addminutes addseconds addweeks addmonths addyears
  subtractdays subtracthours subtractminutes subtractseconds subtractweeks subtractmonths subtractyears
  tointervalsecond tointervalminute tointervalhour tointervalday tointervalweek tointervalmonth tointervalquarter tointervalyear toyyyymm toyyyymmdd
  floor ceil ceiling round trunc truncate roundbankers sqrt cbrt exp exp2 exp10 log ln log2 log10 pow power sign sin cos tan asin acos atan atan2 pi radians degrees
  bitand bitor bitxor bitnot bitshiftleft bitshiftright bitcount
  cityhash64 siphash64 xxhash64 md5 sha1 sha256 hex unhex base64encode
  tuple tupleelement array arrayelement has hasany hasall indexof arraysum arraymin arraymax arrayavg arraysort arrayreversesort arraydistinct
  arrayconcat arrayslice arrayjoin arraystringconcat arrayreverse arrayuniq arrayenumerate arraycompact arrayflatten
  map mapkeys mapvalues mapcontains
  jsonextract jsonextractstring jsonextractint jsonextractuint jsonextractfloat jsonextractbool jsonextractraw jsonextractkeys jsonhas jsonlength jsontype isvalidjson
  simplejsonextractstring simplejsonextractint simplejsonextractfloat jsonmergepatch tojsonstring
  domain protocol path cutquerystring extracturlparameter
  row_number rownumber rank dense_rank percent_rank ntile lag lead laginframe leadinframe first_value last_value nth_value
  geodistance greatcircledistance widthbucket transform bar
  range arrayzip arraypushback arraypushfront arraypopback arraypopfront arrayresize arrayintersect arraywithconstant
  arrayproduct arraydifference arraycumsum arraycumsumnonnegative hassubstr countequal grouping mapfromarrays
`);

/** They take a lambda as their first argument. */
const HIGHER_ORDER = words(`
  arraymap arrayfilter arrayexists arrayall arraycount arrayfirst arraylast arrayfirstindex arraylastindex
  arrayfirstornull arraylastornull arrayfill arrayreversefill arraysplit arrayreversesplit arrayfold
  mapapply mapfilter mapexists mapall
`);

/** They may take a lambda in front of their arrays. */
const MAYBE_HIGHER_ORDER = words(`
  arraysum arraymin arraymax arrayavg arrayproduct arraysort arrayreversesort arraycumsum arraycumsumnonnegative
  arraydifference arrayuniq arraycompact
`);

/** Their last argument is a type. */
const CASTS = words('cast _cast accuratecast accuratecastornull jsonextract');

/** What the engine writes in place of functions of the list when it has resolved a question. */
const REWRITTEN = words(`
  _cast identity getsubcolumn isnotdistinctfrom isdistinctfrom nullin notnullin globalnullin globalnotnullin
  groupingordinary groupingforrollup groupingforcube groupingforgroupingsets singlevalueornull
  nothing count countif sumif uniqexact __bitboolmaskand __bitboolmaskor __bitwrapperfunc materialize
  finalizeaggregation approx_top_k sumcount positivemodulo
`);

const AGGREGATES = words(`
  count sum sumwithoverflow sumkahan avg min max any anylast anyheavy argmin argmax uniq uniqexact uniqcombined uniqcombined64 uniqhll12
  quantile quantileexact quantiles quantilesexact quantiletdigest quantilestdigest quantiledd quantilesdd median medianexact
  stddevpop stddevsamp varpop varsamp covarpop covarsamp corr skewpop skewsamp kurtpop kurtsamp
  topk topkweighted grouparray groupuniqarray groupbitand groupbitor groupbitxor summap entropy
  simplelinearregression deltasum first_value last_value boundingratio
`);

const higherOrder = new Set(HIGHER_ORDER);
const maybeHigherOrder = new Set(MAYBE_HIGHER_ORDER);
const casts = new Set(CASTS);
const rewritten = new Set(REWRITTEN);
const scalars = new Set([...SCALARS, ...HIGHER_ORDER]);
const aggregates = new Set(AGGREGATES);

/** What makes of one row more or fewer: not for an expression over a single row. */
export function changesRows(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'arrayjoin' || (!scalars.has(lower) && isAllowedFunction(lower)) || aggregates.has(lower);
}

/** Aggregates may carry a combinator that changes only which rows they see. */
export function isAllowedFunction(name: string): boolean {
  const lower = name.toLowerCase();
  if (scalars.has(lower) || aggregates.has(lower)) return true;
  return aggregates.has(lower.replace(/(distinct|ornull|ordefault|array|if)+$/, ''));
}

export const isHigherOrder = (name: string): boolean => higherOrder.has(name.toLowerCase());
export const mayBeHigherOrder = (name: string): boolean => maybeHigherOrder.has(name.toLowerCase());
export const isCast = (name: string): boolean => casts.has(name.toLowerCase());

/**
 * A function of a resolved question: one of the list, what the engine makes of one, or how our own relations finish
 * the states of a rollup.
 */
export function isResolvedFunction(name: string): boolean {
  const lower = name.toLowerCase();
  if (rewritten.has(lower) || isAllowedFunction(lower)) return true;
  const plain = lower.replace(/(merge|state|simplestate|distinct|ornull|ordefault|array|if)+$/, '');
  return aggregates.has(plain) || rewritten.has(plain);
}
