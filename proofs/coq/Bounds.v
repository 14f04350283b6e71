(** Q̄/n ≤ K always, and K ≤ (1 + 3B⁸) Q̄ where q, k, y and the memory are at most B. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention.
Open Scope R_scope.

(** 1 + 3B⁸, the constant that is compared with SymPy's. *)
Definition upper_constant (B : R) : R := 1 + 3 * B ^ 8.

Lemma tilted_weights : forall n q k y m, (1 <= n)%nat ->
  total n (fun j => softmax n (logit q k y m) j
                    * (1 + q * k * y * (m j - attended n q k y m))) = 1.
Proof.
  intros n q k y m Hn.
  change (mean n (logit q k y m) (fun j => 1 + q * k * y * (m j - attended n q k y m)) = 1).
  rewrite mean_plus, mean_const, mean_scal, centred by assumption. ring.
Qed.

Lemma spread_at_least : forall n q k y m, (1 <= n)%nat -> / INR n <= spread n q k y m.
Proof.
  intros n q k y m Hn. unfold spread.
  rewrite (total_ext n _ (fun j => (softmax n (logit q k y m) j
                    * (1 + q * k * y * (m j - attended n q k y m))) ^ 2)) by (intros; ring).
  apply sum_one_squares; [assumption|]. now apply tilted_weights.
Qed.

Lemma variance_nonneg : forall n q k y m, (1 <= n)%nat -> 0 <= variance n q k y m.
Proof.
  intros. apply total_nonneg; intros. apply Rmult_le_pos;
    [apply Rlt_le; now apply softmax_pos | apply pow2_ge_0].
Qed.

Lemma inverse_count : forall n, (1 <= n)%nat -> 0 < / INR n <= 1.
Proof.
  intros n Hn. assert (1 <= INR n) by (change 1 with (INR 1); now apply le_INR).
  split; [apply Rinv_0_lt_compat; lra|].
  rewrite <- Rinv_1. apply Rinv_le_contravar; lra.
Qed.

(** The lower bound, with no hypothesis but n ≥ 1. *)
Theorem lower_bound : forall n v w q k y m, (1 <= n)%nat ->
  q_bar n v w q k y m / INR n <= gain n v w q k y m.
Proof.
  intros n v w q k y m Hn.
  pose proof (spread_at_least n q k y m Hn) as HS. pose proof (inverse_count n Hn) as [H0 H1].
  unfold gain, q_bar, gain_formula, q_bar_formula, Rdiv.
  set (c := attended n q k y m). set (S := spread n q k y m) in *.
  set (V := variance n q k y m). set (i := / INR n) in *. clearbody c S V i.
  assert (0 <= (v ^ 2 + w ^ 2) * c ^ 2 * (1 - i)).
  { apply Rmult_le_pos; [apply Rmult_le_pos|lra]; [|apply pow2_ge_0].
    pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w); lra. }
  assert (0 <= v ^ 2 * w ^ 2 * (S - i)).
  { apply Rmult_le_pos; [apply Rmult_le_pos; apply pow2_ge_0|lra]. }
  assert (0 <= v ^ 2 * w ^ 2 * ((q ^ 2 + k ^ 2) * y ^ 2 * V ^ 2)).
  { apply Rmult_le_pos; [apply Rmult_le_pos; apply pow2_ge_0|].
    apply Rmult_le_pos; [apply Rmult_le_pos|]; try apply pow2_ge_0.
    pose proof (pow2_ge_0 q); pose proof (pow2_ge_0 k); lra. }
  lra.
Qed.

(** (Σ s |h|)² ≤ Σ s h². *)
Lemma mean_abs_square : forall n l h, (1 <= n)%nat ->
  mean n l (fun j => Rabs (h j)) ^ 2 <= mean n l (fun j => h j ^ 2).
Proof.
  intros n l h Hn. set (e := mean n l (fun j => Rabs (h j))).
  assert (0 <= mean n l (fun j => (Rabs (h j) - e) ^ 2)).
  { apply total_nonneg; intros; apply Rmult_le_pos;
      [apply Rlt_le; now apply softmax_pos|apply pow2_ge_0]. }
  rewrite (mean_ext n l _ (fun j => h j ^ 2 + ((-2 * e) * Rabs (h j) + e ^ 2 * 1))) in H.
  - rewrite !mean_plus, !mean_scal, mean_const in H by assumption. fold e in H. lra.
  - intros. rewrite <- (pow2_abs (h j)). ring.
Qed.

Section Bounded.
Variables (n : nat) (q k y B : R) (m : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Hypothesis Hq : Rabs q <= B.
Hypothesis Hk : Rabs k <= B.
Hypothesis Hy : Rabs y <= B.
Hypothesis Hm : forall j, (j < n)%nat -> Rabs (m j) <= B.
Let l := logit q k y m.
Let c := attended n q k y m.
Let V := variance n q k y m.

Lemma square_le : forall x b, Rabs x <= b -> x ^ 2 <= b ^ 2.
Proof. intros x b H. rewrite <- (pow2_abs x). apply pow_incr. split; [apply Rabs_pos|assumption]. Qed.

Let HB : 0 <= B.
Proof. eapply Rle_trans; [apply Rabs_pos|exact Hq]. Qed.

Lemma attended_bounded : Rabs c <= B.
Proof. apply mean_abs_le; assumption. Qed.

(** V = Σ s m² − m̄². *)
Lemma variance_raw : V = mean n l (fun j => m j ^ 2) - c ^ 2.
Proof.
  unfold V, variance. fold c l.
  rewrite (mean_ext n l _ (fun j => m j ^ 2 + ((-2 * c) * m j + c ^ 2 * 1))) by (intros; ring).
  rewrite !mean_plus, !mean_scal, mean_const by assumption.
  change (mean n l m) with c. ring.
Qed.

Lemma variance_bounded : V <= B ^ 2.
Proof.
  rewrite variance_raw.
  assert (mean n l (fun j => m j ^ 2) <= B ^ 2).
  { rewrite <- (mean_const n l (B ^ 2) Hn). apply mean_le; [assumption|].
    intros; apply square_le; auto. }
  pose proof (pow2_ge_0 c). lra.
Qed.

(** As s_j ≤ 1: Σ s_j² (…)² ≤ Σ s_j (…)² = 1 + (q k y)² V. *)
Lemma spread_at_most : spread n q k y m <= 1 + (q * k * y) ^ 2 * V.
Proof.
  assert (E : mean n l (fun j => (1 + q * k * y * (m j - c)) ^ 2) = 1 + (q * k * y) ^ 2 * V).
  { rewrite (mean_ext n l _ (fun j => 1 + ((2 * (q * k * y)) * (m j - c)
        + (q * k * y) ^ 2 * (m j - c) ^ 2))) by (intros; ring).
    rewrite !mean_plus, !mean_scal, mean_const by assumption.
    unfold l, c at 1. rewrite centred by assumption. fold l c.
    unfold V, variance. fold c l. ring. }
  rewrite <- E. unfold spread, mean. fold l c. apply total_le. intros j Hj.
  assert (0 < softmax n l j) by now apply softmax_pos.
  assert (softmax n l j <= 1) by now apply softmax_le_one.
  apply Rmult_le_compat_r; [apply pow2_ge_0|]. nra.
Qed.

Lemma product_le : forall a b x z : R, 0 <= a <= x -> 0 <= b <= z -> a * b <= x * z.
Proof. intros. apply Rmult_le_compat; lra. Qed.

Theorem upper_bound : forall v w,
  gain n v w q k y m <= upper_constant B * q_bar n v w q k y m.
Proof.
  intros v w. pose proof spread_at_most as HS. pose proof variance_bounded as HV.
  assert (HV0 : 0 <= V) by now apply variance_nonneg.
  pose proof (square_le q B Hq) as Q. pose proof (square_le k B Hk) as K.
  pose proof (square_le y B Hy) as Y.
  pose proof (pow2_ge_0 q) as Q0. pose proof (pow2_ge_0 k) as K0. pose proof (pow2_ge_0 y) as Y0.
  assert (B0 : 0 <= B ^ 2) by apply pow2_ge_0.
  assert (QK : 0 <= q ^ 2 * k ^ 2 <= B ^ 2 * B ^ 2)
    by (split; [now apply Rmult_le_pos | apply product_le; lra]).
  assert (YV : 0 <= y ^ 2 * V <= B ^ 2 * B ^ 2)
    by (split; [now apply Rmult_le_pos | apply product_le; lra]).
  assert (VV : 0 <= V * V <= B ^ 2 * B ^ 2)
    by (split; [now apply Rmult_le_pos | apply product_le; lra]).
  assert (T1 : (q * k * y) ^ 2 * V <= B ^ 8).
  { replace ((q * k * y) ^ 2 * V) with ((q ^ 2 * k ^ 2) * (y ^ 2 * V)) by ring.
    replace (B ^ 8) with ((B ^ 2 * B ^ 2) * (B ^ 2 * B ^ 2)) by ring. now apply product_le. }
  assert (T2 : (q ^ 2 + k ^ 2) * y ^ 2 * V ^ 2 <= 2 * B ^ 8).
  { replace ((q ^ 2 + k ^ 2) * y ^ 2 * V ^ 2) with (((q ^ 2 + k ^ 2) * y ^ 2) * (V * V)) by ring.
    replace (2 * B ^ 8) with ((2 * B ^ 2 * B ^ 2) * (B ^ 2 * B ^ 2)) by ring.
    apply product_le; [|assumption]. split; [apply Rmult_le_pos; lra|].
    apply product_le; split; lra. }
  fold c V in HS |- *. unfold gain, q_bar, gain_formula, q_bar_formula, upper_constant.
  fold c V. set (S := spread n q k y m) in *. set (b := B ^ 8) in *.
  assert (Hb : 0 <= b) by (apply pow_le, HB).
  set (T := (q ^ 2 + k ^ 2) * y ^ 2 * V ^ 2) in *. clearbody c S b T.
  assert (P1 : 0 <= (v ^ 2 + w ^ 2) * c ^ 2 * b).
  { apply Rmult_le_pos; [apply Rmult_le_pos|assumption]; [|apply pow2_ge_0].
    pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w); lra. }
  assert (P2 : v ^ 2 * w ^ 2 * (S + T) <= v ^ 2 * w ^ 2 * (1 + 3 * b)).
  { apply Rmult_le_compat_l; [apply Rmult_le_pos; apply pow2_ge_0|lra]. }
  lra.
Qed.
End Bounded.
