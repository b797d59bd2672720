//! The table function `key_drivers`: its arguments, and rows of a relation as the algorithm wants them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::cast::{as_boolean_array, as_float64_array, as_string_array};
use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::{
    Argument, ArgumentError, Binding, Function, Kind, RelationCall, RelationFunction, RelationOperator,
    RelationWork, Signature, Workers,
};

use crate::insight::{Insight, RatioFigures};
use crate::key_drivers::{Drivers, Options, key_drivers};
use crate::search::MOST_COMBINED;
use crate::table::{Dimension, MOST_DIMENSIONS, Metric, Table};

const SIGNATURE: Signature = Signature {
    name: "key_drivers",
    aliases: &[],
    description: "Says which segments drove the change of a metric between the rows of reference and the rows of \
                  interest: one row a segment with its figures and a sentence, the largest contribution first. The \
                  columns are those of BigQuery's AI.KEY_DRIVERS.",
    example: "SELECT drivers, difference, explanation FROM key_drivers((SELECT p.brand, s.city, f.channel, f.revenue, \
              f.date_id >= 20260101 AS this_year FROM fact_sales f JOIN dim_product p USING (sku) JOIN dim_store s \
              USING (store_id) WHERE f.date_id >= 20251001), metric_col => 'revenue', interest_label_col => \
              'this_year', top_k => 5)",
    arguments: &[
        Argument::RELATION,
        Argument {
            name: "metric_col",
            kind: Kind::Text,
            default: None,
            doc: "column whose sum is explained; default: the only number that is not a dimension",
        },
        Argument {
            name: "dimension_cols",
            kind: Kind::TextArray,
            default: None,
            doc: "columns whose values make segments, at most 12; default: every text column",
        },
        Argument {
            name: "interest_label_col",
            kind: Kind::Text,
            default: None,
            doc: "column that is true (or not 0) for rows of interest and false (or 0) for rows of reference; default: \
                  the only column of truth values",
        },
        Argument {
            name: "denominator_col",
            kind: Kind::Text,
            default: None,
            doc: "explains the sum of metric_col over the sum of this column instead, such as revenue per pair",
        },
        Argument {
            name: "top_k",
            kind: Kind::Integer,
            default: Some("20"),
            doc: "segments that are returned beside the whole",
        },
        Argument {
            name: "min_apriori_support",
            kind: Kind::Float,
            default: Some("0.05"),
            doc: "smallest share that a segment must have in the metric of interest or of reference, 0 to 1",
        },
        Argument {
            name: "max_dimensions",
            kind: Kind::Integer,
            default: Some("3"),
            doc: "most dimensions that are combined into a segment, 1 to 4",
        },
        Argument {
            name: "enable_pruning",
            kind: Kind::Boolean,
            default: Some("true"),
            doc: "leaves out segments that a more precise one says all about",
        },
    ],
};

/// The table functions of this family: `key_drivers`.
pub fn functions() -> Vec<Function> {
    let function: Arc<dyn RelationFunction> = Arc::new(KeyDrivers);
    vec![function.into()]
}

#[derive(Debug)]
struct KeyDrivers;

/// Positions of the columns that a call reads.
struct Chosen {
    label: usize,
    metric: usize,
    denominator: Option<usize>,
    dimensions: Vec<usize>,
}

impl Chosen {
    fn of(call: &RelationCall) -> Result<Self, ArgumentError> {
        let all = || 0..call.schema.fields().len();
        let label = pick(call, "interest_label_col", "a column of truth values", None, |data_type| {
            *data_type == DataType::Boolean
        })?;
        let given = call.columns("dimension_cols")?;
        let taken = |at: usize| at == label || given.as_ref().is_some_and(|given| given.contains(&at));
        let metric = pick(call, "metric_col", "a number", Some(&taken), DataType::is_numeric)?;
        let denominator = match call.arguments.text("denominator_col") {
            Some(name) => Some(call.column("denominator_col", name)?),
            None => None,
        };
        let dimensions = match given {
            Some(given) => given,
            None => all().filter(|at| is_text(call.field(*at).data_type()) && *at != label).collect(),
        };
        if dimensions.is_empty() || dimensions.len() > MOST_DIMENSIONS {
            let found = dimensions.len();
            let message = format!("key_drivers takes 1 to {MOST_DIMENSIONS} dimensions, found {found}");
            return Err(call
                .arguments
                .error("dimension_cols", message)
                .with_hint("dimension_cols => ARRAY['city', …]"));
        }
        for (argument, at) in [("metric_col", Some(metric)), ("denominator_col", denominator)] {
            let Some(at) = at else { continue };
            let field = call.field(at);
            if !field.data_type().is_numeric() {
                let message = format!("{argument} {} is {}, not a number", field.name(), field.data_type());
                return Err(call.arguments.error(argument, message));
            }
        }
        let field = call.field(label);
        if *field.data_type() != DataType::Boolean && !field.data_type().is_numeric() {
            let (name, found) = (field.name(), field.data_type());
            let message = format!("interest_label_col {name} is {found}, neither true or false nor a number");
            return Err(call.arguments.error("interest_label_col", message));
        }
        let others = [Some(label), Some(metric), denominator];
        if let Some(both) = dimensions.iter().find(|at| others.contains(&Some(**at))) {
            let message = format!("{} is a dimension and something else, too", call.field(*both).name());
            return Err(call.arguments.error("dimension_cols", message));
        }
        Ok(Self { label, metric, denominator, dimensions })
    }

    /// Dimensions first: rows come sorted by them.
    fn input(&self) -> Vec<usize> {
        let figures = [Some(self.label), Some(self.metric), self.denominator];
        self.dimensions.iter().copied().chain(figures.into_iter().flatten()).collect()
    }
}

/// The column that `argument` names, else the only one whose type is `wanted`.
fn pick(
    call: &RelationCall,
    argument: &str,
    what: &str,
    taken: Option<&dyn Fn(usize) -> bool>,
    wanted: impl Fn(&DataType) -> bool,
) -> Result<usize, ArgumentError> {
    if let Some(name) = call.arguments.text(argument) {
        return call.column(argument, name);
    }
    let free = |at: &usize| taken.is_none_or(|taken| !taken(*at));
    let fields = 0..call.schema.fields().len();
    let found: Vec<usize> = fields.filter(|at| free(at) && wanted(call.field(*at).data_type())).collect();
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err(call.arguments.error(argument, format!("{} has no {argument}: {what}", call.label))),
        several => {
            let names: Vec<&str> = several.iter().map(|at| call.field(*at).name().as_str()).collect();
            let message =
                format!("{} has several columns that could be {argument}: {}", call.label, names.join(", "));
            Err(call.arguments.error(argument, message).with_hint(format!("name it: {argument} => '…'")))
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl RelationFunction for KeyDrivers {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        let chosen = Chosen::of(call)?;
        let item = Field::new("item", DataType::Utf8, true);
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let mut output = vec![Field::new("drivers", DataType::List(Arc::new(item)), false)];
        let dimensions = chosen.dimensions.iter().map(|at| call.field(*at).name());
        output.extend(dimensions.map(|name| Field::new(name, DataType::Utf8, true)));
        output.extend(FIGURES.map(number));
        if chosen.denominator.is_some() {
            output.extend(RATIO_FIGURES.map(number));
        }
        output.push(Field::new("explanation", DataType::Utf8, false));
        let mut names: Vec<&str> = output.iter().map(|field| field.name().as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("the dimension {} has the name of a column of the result", pair[0]);
            let error = call.arguments.error("dimension_cols", message);
            return Err(
                error.with_hint(format!("rename it in a sub-query: SELECT {} AS my_{}, …", pair[0], pair[0]))
            );
        }
        Ok(Binding { input: chosen.input(), output })
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        let arguments = &call.arguments;
        let top_k = arguments.integer("top_k").unwrap_or_default();
        let Some(top_k) = usize::try_from(top_k).ok().filter(|top_k| *top_k > 0) else {
            return Err(arguments.error("top_k", format!("top_k must be at least 1, not {top_k}")));
        };
        let support = arguments.float("min_apriori_support").unwrap_or_default();
        if !(0.0..=1.0).contains(&support) {
            let message = format!("min_apriori_support must be between 0 and 1, not {support}");
            return Err(arguments.error("min_apriori_support", message));
        }
        let dimensions = arguments.integer("max_dimensions").unwrap_or_default();
        let Some(max_dimensions) =
            usize::try_from(dimensions).ok().filter(|most| (1..=MOST_COMBINED).contains(most))
        else {
            let message = format!("max_dimensions must be between 1 and {MOST_COMBINED}, not {dimensions}");
            return Err(arguments.error("max_dimensions", message));
        };
        let options = Options {
            min_apriori_support: support,
            top_k: Some(top_k),
            max_dimensions,
            enable_pruning: arguments.boolean("enable_pruning").unwrap_or(true),
        };
        let chosen = Chosen::of(call)?;
        let names = chosen.dimensions.iter().map(|at| call.field(*at).name().clone()).collect();
        let metric = match chosen.denominator {
            Some(below) => format!("{} / {}", call.field(chosen.metric).name(), call.field(below).name()),
            None => call.field(chosen.metric).name().clone(),
        };
        let schema = Arc::new(Schema::new(binding.output.clone()));
        Ok(RelationWork::Whole(Arc::new(KeyDriversOperator {
            options,
            names,
            metric,
            ratio: chosen.denominator.is_some(),
            schema,
        })))
    }
}

#[derive(Debug)]
struct KeyDriversOperator {
    options: Options,
    /// The dimensions.
    names: Vec<String>,
    /// The metric in words.
    metric: String,
    ratio: bool,
    schema: Arc<Schema>,
}

/// The figures that every insight has.
const FIGURES: [&str; 8] = [
    "metric_interest",
    "metric_reference",
    "difference",
    "relative_difference",
    "unexpected_difference",
    "relative_unexpected_difference",
    "apriori_support",
    "contribution",
];

/// What a ratio has besides.
const RATIO_FIGURES: [&str; 4] = [
    "interest_over_reference",
    "interest_over_complement",
    "reference_over_complement",
    "aumann_shapley_attribution",
];

fn figures(insight: &Insight) -> [Option<f64>; 8] {
    let finite = |value: f64| value.is_finite().then_some(value);
    [
        finite(insight.metric_interest),
        finite(insight.metric_reference),
        finite(insight.difference),
        insight.relative_difference,
        insight.unexpected_difference,
        insight.relative_unexpected_difference,
        finite(insight.apriori_support),
        finite(insight.contribution),
    ]
}

fn ratio_figures(insight: &Insight) -> [Option<f64>; 4] {
    let none = RatioFigures {
        interest_over_reference: None,
        interest_over_complement: None,
        reference_over_complement: None,
        aumann_shapley_attribution: None,
    };
    let ratio = insight.ratio.unwrap_or(none);
    [
        ratio.interest_over_reference,
        ratio.interest_over_complement,
        ratio.reference_over_complement,
        ratio.aumann_shapley_attribution,
    ]
}

impl RelationOperator for KeyDriversOperator {
    fn describe(&self) -> String {
        let Options { min_apriori_support, top_k, max_dimensions, enable_pruning } = self.options;
        let (metric, names, top_k) = (&self.metric, self.names.join(", "), top_k.unwrap_or_default());
        format!(
            "metric={metric}, dimensions=[{names}], top_k={top_k}, min_apriori_support={min_apriori_support}, \
             max_dimensions={max_dimensions}, enable_pruning={enable_pruning}"
        )
    }

    fn process(&self, rows: &RecordBatch, workers: &Workers) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let count = self.names.len();
        let coded = rows.columns()[..count].iter().map(codes).collect::<Result<Vec<_>>>()?;
        let (interest, labelled) = labels(rows.column(count))?;
        let metric = numbers(rows.column(count + 1), &labelled)?;
        let denominator = if self.ratio { Some(numbers(rows.column(count + 2), &labelled)?) } else { None };
        let dimensions = self.names.iter().zip(&coded);
        let dimensions: Vec<Dimension<'_>> =
            dimensions.map(|(name, (codes, values))| Dimension { name, codes, values }).collect();
        let metric = match &denominator {
            Some(denominator) => Metric::Ratio { numerator: &metric, denominator },
            None => Metric::Sum(&metric),
        };
        let table = Table { dimensions: &dimensions, metric, interest: &interest };
        let found = key_drivers(&table, &self.options, &|count, job| workers.run(count, job))
            .map_err(|error| DataFusionError::from(ArgumentError::new(SIGNATURE.name, error.to_string())))?;
        workers.check()?;
        self.rows(&found, &coded)
    }
}

impl KeyDriversOperator {
    fn rows(&self, found: &Drivers, coded: &[(Vec<u32>, Vec<String>)]) -> Result<RecordBatch> {
        let insights = &found.insights;
        let mut drivers = ListBuilder::new(StringBuilder::new());
        for insight in insights {
            insight.drivers.iter().for_each(|driver| drivers.values().append_value(driver));
            drivers.append(true);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(drivers.finish())];
        for (at, (_, names)) in coded.iter().enumerate() {
            let value = |insight: &Insight| insight.values[at].map(|code| names[code as usize].as_str());
            columns.push(Arc::new(insights.iter().map(value).collect::<StringArray>()));
        }
        for at in 0..FIGURES.len() {
            columns.push(Arc::new(
                insights.iter().map(|insight| figures(insight)[at]).collect::<Float64Array>(),
            ));
        }
        if self.ratio {
            for at in 0..RATIO_FIGURES.len() {
                let figure = |insight: &Insight| ratio_figures(insight)[at];
                columns.push(Arc::new(insights.iter().map(figure).collect::<Float64Array>()));
            }
        }
        let sentences = insights.iter().map(|insight| insight.explanation.as_str());
        columns.push(Arc::new(StringArray::from_iter_values(sentences)));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Codes of a column's values in the order of their text, and the values; NULL is a code beyond them.
fn codes(column: &ArrayRef) -> Result<(Vec<u32>, Vec<String>)> {
    let text = cast(column, &DataType::Utf8)?;
    let text = as_string_array(&text)?;
    let mut values: Vec<&str> = text.iter().flatten().collect();
    values.sort_unstable();
    values.dedup();
    let places: HashMap<&str, u32> = values.iter().copied().zip(0..).collect();
    let missing = values.len() as u32;
    let codes =
        text.iter().map(|value| value.and_then(|value| places.get(value).copied()).unwrap_or(missing));
    Ok((codes.collect(), values.into_iter().map(str::to_owned).collect()))
}

/// Which rows are of interest, and which have a label at all.
fn labels(column: &ArrayRef) -> Result<(Vec<bool>, Vec<bool>)> {
    let flags = cast(column, &DataType::Boolean)?;
    let flags = as_boolean_array(&flags)?;
    Ok((
        flags.iter().map(|flag| flag == Some(true)).collect(),
        flags.iter().map(|flag| flag.is_some()).collect(),
    ))
}

/// Numbers; NaN for NULL and for rows without a label, which the algorithm leaves out.
fn numbers(column: &ArrayRef, labelled: &[bool]) -> Result<Vec<f64>> {
    let numbers = cast(column, &DataType::Float64)?;
    let numbers = as_float64_array(&numbers)?.iter().zip(labelled);
    Ok(numbers.map(|(number, labelled)| number.filter(|_| *labelled).unwrap_or(f64::NAN)).collect())
}
